//! Listing the children of a run.

use std::collections::VecDeque;

use super::child::{BatchCursors, Child, ChildLink, ChildState};
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{ChildSlot, RunId, RunNumber};
use crate::index::ChildRef;

/// Relations per page.
const PAGE_CHILDREN: usize = 256;

/// The children of a run, in the order in which they were initiated, including those that have ended.
/// Continues with the next child after an error in the log, and ends after damage in the index. Holds the snapshot that it was read from.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = kinlog::Store::open(dir.path())?;
/// # let mut tx = store.begin();
/// # let run = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
/// # tx.commit()?;
/// for child in store.children(&run)?.open() {
///     let child = child?;
///     println!("{} {} {} B", child.workflow_id, child.state, child.size.bytes);
/// }
/// # Ok::<(), kinlog::Error>(())
/// ```
pub struct Children {
    snapshot: Snapshot,
    parent: RunNumber,
    wanted: Wanted,
    /// The Initiated event after which the next page begins; `None` after the last one.
    after: Option<u32>,
    page: VecDeque<ChildLink>,
    cursors: BatchCursors,
}

/// Which children to list.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    All,
    Open,
    State(ChildState),
}

impl Wanted {
    fn admits(self, state: ChildState) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Open => state.is_open(),
            Wanted::State(wanted) => wanted == state,
        }
    }
}

impl Snapshot {
    /// The children of a run. For a run that a reset created, these include the ones initiated by shared events;
    /// for all runs of a chain, see [`Snapshot::children_of_chain`].
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound).
    pub fn children(&self, run: &RunId) -> Result<Children> {
        self.here()?;
        let parent = self.with_history(&self.index(), run)?;
        Ok(Children::of(self, parent))
    }
}

impl Children {
    pub(super) fn of(snapshot: &Snapshot, parent: RunNumber) -> Self {
        Children {
            snapshot: snapshot.clone(),
            parent,
            wanted: Wanted::All,
            after: Some(0),
            page: VecDeque::new(),
            cursors: BatchCursors::default(),
        }
    }

    /// Only those that were initiated after this event, to continue another listing.
    #[must_use]
    pub fn after(mut self, initiated_event_id: u32) -> Self {
        self.after = Some(initiated_event_id);
        self.page.clear();
        self
    }

    /// Only those that are in this state.
    #[must_use]
    pub fn state(mut self, state: ChildState) -> Self {
        self.wanted = Wanted::State(state);
        self
    }

    /// Only open ones; see [`ChildState::is_open`].
    #[must_use]
    pub fn open(mut self) -> Self {
        self.wanted = Wanted::Open;
        self
    }

    /// Reads the next page of relations.
    fn next_page(&mut self, after: u32) -> Result<()> {
        let index = self.snapshot.index();
        let found = index.runs.get(self.parent).zip(index.runs.links(self.parent));
        let Some((run, links)) = index.sure(found)? else { return Ok(()) };
        let from = links.children.partition_point(|relation| relation.initiated <= after);
        let to = from.saturating_add(PAGE_CHILDREN).min(self.snapshot.children_of(&links));
        let page = links.children.get(from..to).unwrap_or_default();
        let last = page.last().map(|relation| relation.initiated);
        let held = |at| Some(ChildRef { parent: self.parent, slot: ChildSlot::from_index(at)? });
        let link =
            |(at, relation)| ChildLink::of(&index, &self.snapshot, held(at)?, &run, relation);
        let links: Vec<_> = (from..to).zip(page).filter_map(link).collect();
        index.check_cold()?;
        self.after = last;
        let is_open_only = matches!(self.wanted, Wanted::Open);
        self.page.extend(links.into_iter().filter(|link| !(is_open_only && link.is_settled())));
        Ok(())
    }
}

impl Iterator for Children {
    type Item = Result<Child>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(link) = self.page.pop_front() else {
                let after = self.after.take()?;
                match self.next_page(after) {
                    Ok(()) => continue,
                    Err(damage) => return Some(Err(damage)),
                }
            };
            match self.cursors.find(&self.snapshot, &link) {
                Ok(found) if !self.wanted.admits(found.child.state) => {}
                found => return Some(found.map(|found| found.child)),
            }
        }
    }
}

impl std::fmt::Debug for Children {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Children").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}
