//! `kinlog follow`: events as they come.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::truncate_str;
use kinlog::{CommitView, Event, Position, RunId, RunInfo, Store};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::event;
use crate::args::FollowArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Output};

/// How often it is looked whether somebody still reads.
const LOOK: Duration = Duration::from_millis(100);
/// Columns of a terminal that have room for times.
const ROOMY: usize = 64;

pub(crate) fn follow(
    store: &Path,
    args: &FollowArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let ended = ended()?;
    let store = open::to_read(store)?;
    let from = if args.all { Position::START } else { store.end() };
    let mut tail = store.tail(from);
    let left = args.limit.unwrap_or(u64::MAX);
    let mut follower = Follower { store: &store, json: args.json, left, last: None, out };
    while follower.left > 0 && !ended.load(Ordering::Relaxed) && !follower.out.is_closed() {
        if let Some(commit) = tail.next_timeout(LOOK)? {
            follower.commit(&commit)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Becomes true when the process is asked to end; asked again, it ends at once.
fn ended() -> io::Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, ended.clone())?;
        flag::register(signal, ended.clone())?;
    }
    Ok(ended)
}

struct Follower<'a> {
    store: &'a Store,
    json: bool,
    /// So many events are still asked for.
    left: u64,
    /// The run of the event before.
    last: Option<RunId>,
    out: &'a mut Output,
}

/// An event, for programs.
#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    namespace: &'a str,
    workflow_id: &'a str,
    #[serde(flatten)]
    event: event::Line,
}

impl Follower<'_> {
    fn commit(&mut self, commit: &CommitView) -> Result<(), Failure> {
        let snapshot = self.store.snapshot();
        for batch in commit.batches() {
            let batch = batch?;
            let run = snapshot.run(&batch.run())?;
            for event in batch.events() {
                if self.left == 0 {
                    break;
                }
                self.left -= 1;
                match self.json {
                    true => self.object(commit.position(), &run, &event?)?,
                    false => self.line(&run, &event?)?,
                }
            }
        }
        // Whoever reads sees a commit at once, and whole.
        Ok(self.out.flush()?)
    }

    fn object(&mut self, at: Position, run: &RunInfo, event: &Event<'_>) -> Result<(), Failure> {
        self.out.json(&Line {
            position: at.as_u64(),
            namespace: &run.namespace,
            workflow_id: &run.workflow_id,
            event: event::Line::of(&run.id, event),
        })?;
        Ok(())
    }

    fn line(&mut self, run: &RunInfo, event: &Event<'_>) -> Result<(), Failure> {
        let width = self.out.width().unwrap_or(usize::MAX);
        if self.last.replace(run.id) != Some(run.id) {
            let (name, namespace) = (ui::plain(&run.workflow_id), ui::plain(&run.namespace));
            let place = ui::dim(format!("in {namespace}, run {}", run.id));
            let head = format!("{}  {place}", ui::bold(name));
            writeln!(self.out, "{}", truncate_str(&head, width, "…"))?;
        }
        let time = match width >= ROOMY {
            true => ui::dim(format!("{:23}  ", ui::clock(event.time()))).to_string(),
            false => String::new(),
        };
        let line = format!("{:>6}  {time}{}  {}", event.id(), event.kind(), event::what(event));
        writeln!(self.out, "{}", truncate_str(&line, width, "…"))?;
        Ok(())
    }
}
