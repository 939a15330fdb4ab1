//! Open duties: what the log says must still happen between two runs, oldest first.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use crate::bytes::wide;
use crate::event::RequestKind;
use crate::id::{Position, RunNumber};
use crate::index::pack::{Pack, Unpack};

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

    /// The number by which the index's files call it.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

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

impl From<RequestKind> for DutyKind {
    fn from(request: RequestKind) -> Self {
        match request {
            RequestKind::Signal => DutyKind::DeliverSignal,
            RequestKind::Cancel => DutyKind::DeliverCancel,
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
    pub(crate) run: RunNumber,
    /// The Initiated event.
    pub(crate) event: u32,
}

/// What duties come from: a commit and a run.
type Origin = (Position, RunNumber);

/// The open duties of one kind: their Initiated events, ascending, by origin. A parent that closes opens a
/// thousand of one origin at once, and settling takes them from the front.
#[derive(Default, Debug, PartialEq, Eq)]
struct OfKind {
    by_origin: BTreeMap<Origin, VecDeque<u32>>,
    count: usize,
}

impl OfKind {
    fn add(&mut self, origin: Origin, event: u32) {
        let events = self.by_origin.entry(origin).or_default();
        if events.back().is_none_or(|last| *last < event) {
            events.push_back(event);
            self.count += 1;
        } else if let Err(place) = events.binary_search(&event) {
            events.insert(place, event);
            self.count += 1;
        }
    }

    fn remove(&mut self, origin: Origin, event: u32) {
        let Some(events) = self.by_origin.get_mut(&origin) else { return };
        if events.front() == Some(&event) {
            events.pop_front();
        } else if let Ok(place) = events.binary_search(&event) {
            events.remove(place);
        } else {
            return;
        }
        self.count -= 1;
        if events.is_empty() {
            self.by_origin.remove(&origin);
        }
    }

    /// The origins and events from `from` on, in order.
    fn from(&self, from: (Origin, u32)) -> impl Iterator<Item = (Origin, u32)> {
        let (first, event) = from;
        self.by_origin.range(first..).flat_map(move |(origin, events)| {
            let skipped = if *origin == first { events.partition_point(|e| *e < event) } else { 0 };
            events.range(skipped..).map(move |event| (*origin, *event))
        })
    }
}

impl DutyKey {
    const fn origin(&self) -> Origin {
        (self.since, self.run)
    }

    /// Where the duties of `kind` begin that follow this one.
    fn next_of(&self, kind: DutyKind) -> (Origin, u32) {
        match kind.cmp(&self.kind) {
            Ordering::Less => ((self.since.plus(1), RunNumber::FIRST), 0),
            Ordering::Equal => (self.origin(), self.event + 1),
            Ordering::Greater => ((self.since, RunNumber::FIRST), 0),
        }
    }
}

/// All open duties.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Duties {
    open: [OfKind; DutyKind::ALL.len()],
}

impl Duties {
    pub(crate) fn add(&mut self, key: DutyKey) {
        self.of_mut(key.kind).add(key.origin(), key.event);
    }

    pub(crate) fn remove(&mut self, key: &DutyKey) {
        self.of_mut(key.kind).remove(key.origin(), key.event);
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
        let following = |kind: &DutyKind| {
            let kind = *kind;
            let from =
                after.map_or(((Position::START, RunNumber::FIRST), 0), |after| after.next_of(kind));
            let key = move |((since, run), event)| DutyKey { since, kind, run, event };
            self.of(kind).from(from).map(key).peekable()
        };
        let ranges = kinds.iter().map(following);
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

    /// Appends all of them.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        for of in &self.open {
            to.number(wide(of.by_origin.len()));
            for ((since, run), events) in &of.by_origin {
                to.position(*since);
                to.number(run.as_u32().into());
                to.number(wide(events.len()));
                events.iter().for_each(|event| to.number((*event).into()));
            }
        }
    }

    /// The duties that [`Duties::encode`] has appended.
    pub(super) fn decode(from: &mut Unpack<'_>) -> Option<Self> {
        let mut duties = Duties::default();
        for kind in DutyKind::ALL {
            for _ in 0..from.count()? {
                let (since, run) = (from.position()?, RunNumber::from_u32(from.narrow()?));
                for _ in 0..from.count()? {
                    duties.add(DutyKey { since, kind, run, event: from.narrow()? });
                }
            }
        }
        Some(duties)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.open.iter().map(|of| of.count).sum()
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, kind: DutyKind) -> usize {
        self.of(kind).count
    }

    fn of(&self, kind: DutyKind) -> &OfKind {
        let [start, report, policy, signal, cancel] = &self.open;
        match kind {
            DutyKind::StartChild => start,
            DutyKind::ReportClose => report,
            DutyKind::ApplyClosePolicy => policy,
            DutyKind::DeliverSignal => signal,
            DutyKind::DeliverCancel => cancel,
        }
    }

    fn of_mut(&mut self, kind: DutyKind) -> &mut OfKind {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Small numbers, so that keys meet again and origins have several.
    fn key(random: u64) -> DutyKey {
        let part = |shift: u32, range: u64| u32::try_from((random >> shift) % range).unwrap();
        DutyKey {
            since: Position::from_u64(part(10, 4).into()),
            kind: DutyKind::ALL.into_iter().nth(part(20, 5) as usize).unwrap(),
            run: RunNumber::from_u32(part(30, 3)),
            event: part(40, 12),
        }
    }

    #[test]
    fn duties_are_a_set_of_keys_in_order() {
        let mut random: u64 = 1;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random
        };
        let (mut duties, mut model) = (Duties::default(), BTreeSet::new());
        let mut page = vec![];
        for _ in 0..20_000 {
            let (duty, after) = (key(next()), key(next()));
            if next() >> 63 == 0 {
                duties.add(duty);
                model.insert(duty);
            } else {
                duties.remove(&duty);
                model.remove(&duty);
            }
            let (first, rest) = DutyKind::ALL.split_at(2);
            let kinds = if next() >> 63 == 0 { first } else { rest };
            duties.page(kinds, Some(after), 7, &mut page);
            let right = model.range(after..).filter(|key| **key != after);
            let right = right.filter(|key| kinds.contains(&key.kind)).take(7);
            assert_eq!(page, right.copied().collect::<Vec<_>>());
            assert_eq!(duties.len(), model.len());
        }
    }
}
