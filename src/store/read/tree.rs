//! Reading the tree below a run: its children, their children, and so on.

use super::chain_runs::ChainRuns;
use super::child::{BatchCursors, Child, ChildLink, Found};
use super::run_info::{RunInfo, info};
use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::id::{ChainNumber, ChildSlot, RunId, RunNumber};
use crate::index::Size;

/// A tree of runs, depth first, siblings in the order in which they were initiated.
///
/// The root is one run, with the children of that run. Every other node is a child, which is a
/// chain: below it are the children of all runs of its chain, run after run. Each chain has one place in the
/// tree: a child that another run has (see [`Child::held_by`]) is a leaf here, and its runs count below that
/// run. So no run is returned twice, whatever was imported.
///
/// Memory is one cursor for each level. Continues with the next sibling after an error in the log, and ends after
/// damage in the index. Holds the snapshot that
/// it was read from.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = kinlog::Store::open(dir.path())?;
/// # let mut tx = store.begin();
/// # let run = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
/// # tx.commit()?;
/// for node in store.tree(&run)?.max_depth(3).max_children(20) {
///     let node = node?;
///     let name = node.run.as_ref().map(|run| run.workflow_id.clone());
///     println!("{:1$}{name:?} +{2}", "", node.depth * 2, node.hidden_children);
/// }
/// # Ok::<(), kinlog::Error>(())
/// ```
pub struct Tree {
    snapshot: Snapshot,
    root: Option<RunNumber>,
    root_chain: ChainNumber,
    stack: Vec<Level>,
    max_depth: usize,
    max_children: u64,
}

/// One node of a [`Tree`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TreeNode {
    /// The depth below the root, which is 0.
    pub depth: usize,
    /// The relation to the node above; `None` for the root.
    pub relation: Option<Child>,
    /// The root, or the last run of the child's chain. `None` if the child was not started, is not in the store,
    /// or another run has it.
    pub run: Option<RunInfo>,
    /// The number of runs of the node: one for the root, otherwise those of the child's chain that are in the
    /// store.
    pub runs: u64,
    /// The total size of these runs.
    pub size: Size,
    /// Whether it is the last one shown of its siblings.
    pub is_last: bool,
    /// The number of children of these runs, shown or not.
    pub children: u64,
    /// The number of children that the limits leave out.
    pub hidden_children: u64,
}

impl Snapshot {
    /// The tree below a run.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`].
    pub fn tree(&self, run: &RunId) -> Result<Tree> {
        self.here()?;
        let index = self.index();
        let root = self.with_history(&index, run)?;
        let found = index.sure(index.runs.get(root))?.ok_or(Error::RunNotFound { run: *run })?;
        Ok(Tree {
            snapshot: self.clone(),
            root: Some(root),
            root_chain: found.chain,
            stack: vec![],
            max_depth: usize::MAX,
            max_children: u64::MAX,
        })
    }
}

impl Tree {
    /// Goes no further down than this; 0 shows the root alone.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth;
        self
    }

    /// Shows no more than the first `children` of each node.
    #[must_use]
    pub fn max_children(mut self, children: u64) -> Self {
        self.max_children = children;
        self
    }

    fn root_node(&mut self, root: RunNumber) -> Result<TreeNode> {
        let end = self.snapshot.end();
        let run = self.snapshot.look(|index| info(index, root, end))?;
        self.enter(TreeNode { run, ..TreeNode::new(0, true) }, ChainRuns::one(root))
    }

    fn child_node(&mut self, depth: usize, is_last: bool, found: Found) -> Result<TreeNode> {
        let relation = Some(found.child);
        let node = TreeNode { relation, ..TreeNode::new(depth, is_last) };
        // Imported runs can form a cycle. As each chain has one place, such a cycle contains the root.
        let root_chain = self.root_chain;
        let runs = found.chain.filter(|(number, _)| found.belongs && *number != root_chain);
        let Some((_, runs)) = runs else { return Ok(node) };
        let run = node.relation.as_ref().and_then(|child| child.current.clone());
        self.enter(TreeNode { run, ..node }, runs)
    }

    /// Counts the children of a node's runs, and descends to them if the limits allow.
    fn enter(&mut self, mut node: TreeNode, runs: ChainRuns) -> Result<TreeNode> {
        node.runs = wide(runs.len());
        node.size = runs.kept_size(&self.snapshot)?;
        let runs = runs.with_history(&self.snapshot)?;
        node.children = runs.count_children(&self.snapshot)?;
        let shown = if node.depth < self.max_depth { self.max_children } else { 0 };
        let left = shown.min(node.children);
        node.hidden_children = node.children - left;
        if left > 0 {
            let depth = node.depth + 1;
            self.stack.push(Level {
                depth,
                runs,
                run: 0,
                slot: ChildSlot::FIRST,
                left,
                cursors: BatchCursors::default(),
            });
        }
        Ok(node)
    }
}

impl Iterator for Tree {
    type Item = Result<TreeNode>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take() {
            return Some(self.root_node(root));
        }
        let level = self.stack.last_mut()?;
        let link = match level.next(&self.snapshot) {
            Ok(link) => link?,
            Err(damage) => {
                self.stack.clear();
                return Some(Err(damage));
            }
        };
        let (depth, is_last) = (level.depth, level.left == 0);
        let found = level.cursors.find(&self.snapshot, &link);
        if is_last {
            self.stack.pop();
        }
        Some(found.and_then(|found| self.child_node(depth, is_last, found)))
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("depth", &self.stack.len()).finish_non_exhaustive()
    }
}

impl TreeNode {
    fn new(depth: usize, is_last: bool) -> Self {
        TreeNode {
            depth,
            relation: None,
            run: None,
            runs: 0,
            size: Size::default(),
            is_last,
            children: 0,
            hidden_children: 0,
        }
    }
}

/// Siblings that are still to be returned: at least one.
struct Level {
    depth: usize,
    /// The runs whose children they are.
    runs: ChainRuns,
    /// The index in `runs` of the run whose child is next.
    run: usize,
    /// The slot of that child among the run's children.
    slot: ChildSlot,
    left: u64,
    cursors: BatchCursors,
}

impl Level {
    fn next(&mut self, snapshot: &Snapshot) -> Result<Option<ChildLink>> {
        loop {
            let index = snapshot.index();
            let Some(run) = self.runs.get(self.run) else { return Ok(None) };
            let link = index.sure(ChildLink::at(&index, snapshot, run, self.slot))?;
            if let Some(link) = link {
                let next = ChildSlot::from_index(self.slot.as_index() + 1);
                self.left -= 1;
                (self.run, self.slot) = match next {
                    Some(next) => (self.run, next),
                    None => (self.run + 1, ChildSlot::FIRST),
                };
                return Ok(Some(link));
            }
            (self.run, self.slot) = (self.run + 1, ChildSlot::FIRST);
        }
    }
}
