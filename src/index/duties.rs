//! Open duties: what the log says must still happen between two runs, oldest first.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Index;
use crate::id::Position;

/// What must still happen.
///
/// The order is that in which duties of the same commit are settled: a run that closed answers its
/// parent before it turns to its children.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DutyKind {
    /// A child was initiated and neither started nor refused.
    StartChild,
    /// A child's chain ended, and its open parent has not been told.
    ReportClose,
    /// A parent closed, and its close policy has not reached this child.
    ApplyClosePolicy,
    /// A signal to another workflow was initiated and neither delivered nor refused.
    DeliverSignal,
    /// A cancel request to another workflow was initiated and neither delivered nor refused.
    DeliverCancel,
}

impl DutyKind {
    /// All kinds, in order.
    pub const ALL: [DutyKind; 5] = [
        DutyKind::StartChild,
        DutyKind::ReportClose,
        DutyKind::ApplyClosePolicy,
        DutyKind::DeliverSignal,
        DutyKind::DeliverCancel,
    ];

    /// The name, in camel case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DutyKind::StartChild => "StartChild",
            DutyKind::ReportClose => "ReportClose",
            DutyKind::ApplyClosePolicy => "ApplyClosePolicy",
            DutyKind::DeliverSignal => "DeliverSignal",
            DutyKind::DeliverCancel => "DeliverCancel",
        }
    }
}

impl std::fmt::Display for DutyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One duty: the commit that opened it, and the Initiated event it goes back to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DutyKey {
    pub(crate) since: Position,
    pub(crate) kind: DutyKind,
    /// The parent, or the run that signals or cancels.
    pub(crate) run: u32,
    /// The Initiated event.
    pub(crate) event: u32,
}

/// Whether a duty is open.
pub(crate) fn is_due(index: &Index, key: &DutyKey) -> bool {
    since_due(index, key).is_some()
}

/// The commit that opened a duty, if it is open.
pub(crate) fn since_due(index: &Index, key: &DutyKey) -> Option<Position> {
    let ties = index.runs.get(key.run)?.ties.as_deref()?;
    match key.kind {
        DutyKind::DeliverSignal | DutyKind::DeliverCancel => {
            let external = ties.externals.get(&key.event)?;
            external.since.filter(|_| external.kind == key.kind)
        }
        kind => {
            let (due, since) = ties.children.get(ties.find(key.event)?)?.duty?;
            (due == kind).then_some(since)
        }
    }
}

/// All open duties.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Duties {
    open: [BTreeSet<DutyKey>; DutyKind::ALL.len()],
}

impl Duties {
    pub(super) fn add(&mut self, key: DutyKey) {
        self.of_mut(key.kind).insert(key);
    }

    pub(super) fn remove(&mut self, key: &DutyKey) {
        self.of_mut(key.kind).remove(key);
    }

    /// Fills `page` with up to `count` duties of the given kinds that follow `after`, in order.
    pub(crate) fn page(
        &self,
        kinds: &[DutyKind],
        after: Option<DutyKey>,
        count: usize,
        page: &mut Vec<DutyKey>,
    ) {
        page.clear();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ranges = kinds.iter().map(|kind| self.of(*kind).range((from, Bound::Unbounded)));
        let ranges = ranges.map(|range| range.copied().peekable());
        let mut ranges: Vec<_> =
            ranges.filter_map(|mut range| range.peek().is_some().then_some(range)).collect();
        // Almost always there are duties of one kind alone: nothing to merge.
        if let [range] = ranges.as_mut_slice() {
            page.extend(range.take(count));
            return;
        }
        while page.len() < count {
            let heads = ranges.iter_mut().filter_map(|range| Some((*range.peek()?, range)));
            let Some((key, range)) = heads.min_by_key(|(key, _)| *key) else { break };
            range.next();
            page.push(key);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.iter().map(BTreeSet::len).sum()
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, kind: DutyKind) -> usize {
        self.of(kind).len()
    }

    fn of(&self, kind: DutyKind) -> &BTreeSet<DutyKey> {
        let [start, report, policy, signal, cancel] = &self.open;
        match kind {
            DutyKind::StartChild => start,
            DutyKind::ReportClose => report,
            DutyKind::ApplyClosePolicy => policy,
            DutyKind::DeliverSignal => signal,
            DutyKind::DeliverCancel => cancel,
        }
    }

    fn of_mut(&mut self, kind: DutyKind) -> &mut BTreeSet<DutyKey> {
        let [start, report, policy, signal, cancel] = &mut self.open;
        match kind {
            DutyKind::StartChild => start,
            DutyKind::ReportClose => report,
            DutyKind::ApplyClosePolicy => policy,
            DutyKind::DeliverSignal => signal,
            DutyKind::DeliverCancel => cancel,
        }
    }
}
