//! A tree as lines of text.

use std::io::Write;

use console::truncate_str;
use kinlog::read::TreeNode;

use super::node::Words;
use super::walk::{Cut, Draw};
use crate::failure::Failure;
use crate::ui::{self, Output};

/// Where nobody says how wide a line may be.
const WIDTH: usize = 96;
/// Columns that a level takes.
const STEP: usize = 3;
const GAP: &str = "  ";
const MORE: &str = "  …";
/// No name is cut to less.
const NAME_MIN: usize = 8;
/// Columns of a node, with its number where it is deep.
const NODE_MIN: usize = 32;

pub(super) struct Text<'o> {
    out: &'o mut Output,
    /// For each level above, whether its line goes on.
    lines: Vec<bool>,
    /// Deeper levels are not moved to the right, but numbered.
    levels_max: usize,
}

impl<'o> Text<'o> {
    pub(super) fn new(out: &'o mut Output) -> Self {
        // At most half of each line is for lines, and a node has its room.
        let width = out.width().unwrap_or(WIDTH);
        let levels_max = (width / 2).min(width.saturating_sub(NODE_MIN)) / STEP;
        let levels_max = levels_max.max(1);
        Text { out, lines: vec![], levels_max }
    }

    /// What goes before a node.
    fn above(&self, depth: usize, is_last: bool) -> String {
        // The root, at level 0, has no line.
        let above = self.lines.iter().take(depth).skip(1).take(self.levels_max);
        let mut line: String = above.map(|goes_on| if *goes_on { "│  " } else { "   " }).collect();
        match depth {
            0 => {}
            deep if deep > self.levels_max => line.push_str(&format!("┊ {deep} ")),
            _ => line.push_str(if is_last { "└─ " } else { "├─ " }),
        }
        line
    }

    fn line(&mut self, depth: usize, is_last: bool, text: &str) -> Result<(), Failure> {
        let line = format!("{}{text}", ui::dim(self.above(depth, is_last)));
        let width = self.out.width().unwrap_or(usize::MAX);
        writeln!(self.out, "{}", truncate_str(&line, width, "…"))?;
        Ok(())
    }
}

impl Draw for Text<'_> {
    fn node(&mut self, node: &TreeNode, is_last: bool) -> Result<(), Failure> {
        self.lines.truncate(node.depth);
        let words = Words::of(node);
        // A long name leaves room to say how the node stands, and that there is more to say.
        let taken = self.above(node.depth, is_last).chars().count();
        let rest = taken + GAP.len() + words.standing.name().len() + MORE.len();
        let room = self.out.width().unwrap_or(usize::MAX).saturating_sub(rest).max(NAME_MIN);
        let name = truncate_str(&words.name, room, "…");
        let mut parts = vec![ui::bold(name).to_string(), words.standing.styled().to_string()];
        parts.extend(words.policy.map(|policy| ui::dim(policy).to_string()));
        parts.extend(words.notes.iter().map(|note| ui::dim(note).to_string()));
        self.line(node.depth, is_last, &parts.join(GAP))?;
        self.lines.push(!is_last);
        Ok(())
    }

    fn cut(&mut self, cut: Cut) -> Result<(), Failure> {
        self.lines.truncate(cut.depth);
        self.line(cut.depth, true, &ui::dim(cut.words()).to_string())
    }
}
