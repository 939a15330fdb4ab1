//! Going through a tree from top to bottom, for whatever is made of it.

use kinlog::read::{Tree, TreeNode};

use crate::failure::Failure;
use crate::ui;

/// What is made of a tree, line by line.
pub(super) trait Draw {
    /// A node; whether nothing follows that hangs on the same line.
    fn node(&mut self, node: &TreeNode, is_last: bool) -> Result<(), Failure>;

    /// Children that the limits leave out; they would follow.
    fn cut(&mut self, cut: Cut) -> Result<(), Failure>;
}

/// Children that were left out.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Where they would stand.
    pub(super) depth: usize,
    pub(super) children: u64,
    /// Some of their siblings are drawn.
    pub(super) is_rest: bool,
}

impl Cut {
    pub(super) fn words(&self) -> String {
        let and = if self.is_rest { "and " } else { "" };
        let more = if self.is_rest { " more" } else { "" };
        let things = if self.children == 1 { "child" } else { "children" };
        format!("… {and}{}{more} {things}", ui::count(self.children))
    }
}

/// What was gone through.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) nodes: u64,
    hidden: u64,
}

impl Walked {
    /// What was left out, and how to see it.
    pub(super) fn cut(&self) -> Option<String> {
        let children = ui::many(self.hidden, "child");
        let how = "--width N and --depth N show more, --all everything";
        (self.hidden > 0).then(|| format!("without {children} and what is below; {how}"))
    }
}

pub(super) fn walk(tree: Tree, drawing: &mut impl Draw) -> Result<Walked, Failure> {
    let mut walked = Walked::default();
    // What is cut below each node on the way down.
    let mut open: Vec<Cut> = vec![];
    for node in tree {
        let node = node?;
        leave(&mut open, node.depth, drawing)?;
        let cut_follows = open.last().is_some_and(|parent| parent.children > 0);
        drawing.node(&node, node.is_last && !cut_follows)?;
        walked.nodes += 1;
        walked.hidden += node.hidden_children;
        open.push(Cut {
            depth: node.depth + 1,
            children: node.hidden_children,
            is_rest: node.hidden_children < node.children,
        });
    }
    leave(&mut open, 0, drawing)?;
    Ok(walked)
}

/// Leaves the nodes that are not above `depth`.
fn leave(open: &mut Vec<Cut>, depth: usize, drawing: &mut impl Draw) -> Result<(), Failure> {
    while open.len() > depth {
        if let Some(cut) = open.pop().filter(|cut| cut.children > 0) {
            drawing.cut(cut)?;
        }
    }
    Ok(())
}
