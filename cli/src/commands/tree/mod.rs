//! `kinlog tree`: a run, its children, theirs, and so on.

mod dot;
mod json;
mod node;
mod svg;
mod text;
mod walk;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use kinlog::{RunId, Snapshot};

use self::walk::{Walked, walk};
use crate::args::TreeArgs;
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Output};

/// More children of one node are seldom looked at.
const WIDTH: u64 = 20;

pub(crate) fn tree(store: &Path, args: &TreeArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let tree = Limited::of(&snapshot, find(&snapshot, &args.run)?.id, args);
    if args.json {
        walk(tree.read()?, &mut json::Json::new(out))?;
    } else if let Some(file) = &args.svg {
        write_to(file, out, |writer| svg::draw(&tree, writer))?;
    } else if let Some(file) = &args.dot {
        write_to(file, out, |writer| dot::draw(&tree, writer))?;
    } else {
        let walked = walk(tree.read()?, &mut text::Text::new(out))?;
        out.prose(0, ui::dim(tree.sum()?))?;
        if let Some(cut) = walked.cut() {
            out.prose(0, ui::dim(cut))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A tree as far as it is to be drawn; it can be read again, and is the same then.
struct Limited<'s> {
    snapshot: &'s Snapshot,
    root: RunId,
    depth: usize,
    width: u64,
}

impl<'s> Limited<'s> {
    fn of(snapshot: &'s Snapshot, root: RunId, args: &TreeArgs) -> Self {
        // A program asked for everything unless it says how much.
        let usual = if args.json || args.all { 0 } else { WIDTH };
        let width = Some(args.width.unwrap_or(usual)).filter(|width| *width > 0);
        let depth = args.depth.filter(|depth| *depth > 0);
        let (depth, width) = (depth.unwrap_or(usize::MAX), width.unwrap_or(u64::MAX));
        Limited { snapshot, root, depth, width }
    }

    fn read(&self) -> Result<kinlog::read::Tree, Failure> {
        let tree = self.snapshot.tree(&self.root)?;
        Ok(tree.max_depth(self.depth).max_children(self.width))
    }

    /// What the whole tree adds up to, in words.
    fn sum(&self) -> Result<String, Failure> {
        let size = self.snapshot.tree_size(&self.root)?;
        let (runs, events) = (ui::many(size.runs, "run"), ui::many(size.events, "event"));
        Ok(format!("{runs}, {events}, {} in the whole tree", ui::bytes(size.bytes)))
    }
}

/// Writes to a file and says so, or to standard output for `-`.
fn write_to(
    path: &Path,
    out: &mut Output,
    draw: impl FnOnce(&mut dyn Write) -> Result<Walked, Failure>,
) -> Result<(), Failure> {
    if path == Path::new("-") {
        return draw(out).map(drop);
    }
    let cannot = |error| Failure::File { path: path.to_owned(), error };
    let mut file = BufWriter::new(File::create(path).map_err(cannot)?);
    let walked = draw(&mut file).map_err(|failure| match failure {
        Failure::Output(error) => cannot(error),
        other => other,
    })?;
    file.flush().map_err(cannot)?;
    writeln!(out, "{}: {}", ui::path(path), ui::many(walked.nodes, "node"))?;
    if let Some(cut) = walked.cut() {
        out.prose(0, ui::dim(cut))?;
    }
    Ok(())
}
