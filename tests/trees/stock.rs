//! Duties and close policies, worked out by looking at all runs.

use std::collections::BTreeMap;

use kinlog::{DutyKind, ParentClosePolicy};

use crate::naive::{Event, Key, Relation, State, What};

impl State {
    /// Works out from scratch what must still happen.
    pub(crate) fn take_stock(&mut self) {
        for (run, initiated) in self.reached() {
            self.applied.insert((run, initiated));
        }
        let mut duties = BTreeMap::new();
        for run in 0..self.runs.len() {
            for key in self.due(run) {
                let since = self.duties.get(&key).copied().unwrap_or(self.commits);
                duties.insert(key, since);
            }
        }
        self.duties = duties;
    }

    fn due(&self, run: usize) -> Vec<Key> {
        let it = &self.runs[run];
        let mut due = vec![];
        if it.is_open() {
            for kind in [DutyKind::DeliverSignal, DutyKind::DeliverCancel] {
                due.extend(it.waiting(kind).into_iter().map(|event| (kind, run, event)));
            }
        }
        for relation in it.relations().iter().filter(|relation| self.is_open(run, relation)) {
            let event = relation.initiated;
            let ended = || self.child(run, event).and_then(|it| self.end_of_chain(it)).is_some();
            let kind = match (it.is_open(), relation.started.is_some()) {
                (true, false) => DutyKind::StartChild,
                (true, true) if ended() => DutyKind::ReportClose,
                (false, true) if self.wants_policy(run, relation) => DutyKind::ApplyClosePolicy,
                _ => continue,
            };
            due.push((kind, run, event));
        }
        due
    }

    fn wants_policy(&self, run: usize, relation: &Relation) -> bool {
        relation.wish.policy != ParentClosePolicy::Abandon
            && !self.runs[run].is_replaced()
            && !self.applied.contains(&(run, relation.initiated))
    }

    /// The children of closed parents that need no policy any more: they have ended, or were asked
    /// to cancel as the policy wants.
    fn reached(&self) -> Vec<(usize, u32)> {
        let mut reached = vec![];
        for (run, it) in self.runs.iter().enumerate().filter(|(_, it)| !it.is_open()) {
            let before = it.events.last().unwrap().commit < self.commits;
            for relation in it.relations().iter().filter(|relation| self.is_open(run, relation)) {
                let Some(child) = self.child(run, relation.initiated) else { continue };
                let cancels = relation.wish.policy == ParentClosePolicy::RequestCancel;
                let asked = || self.runs[self.newest(child)].cancel_requested();
                let just_asked = || before && self.asked_now(child);
                let ended = self.end_of_chain(child).is_some();
                if ended || (cancels && (asked() || just_asked())) {
                    reached.push((run, relation.initiated));
                }
            }
        }
        reached
    }

    /// Whether the last commit asked a run of this chain to cancel.
    fn asked_now(&self, run: usize) -> bool {
        let asks = |event: &Event| {
            event.commit == self.commits && matches!(event.what, What::CancelRequested { .. })
        };
        self.chain(run).into_iter().any(|run| self.runs[run].events.iter().any(asks))
    }

    /// Open duties in order of age.
    pub(crate) fn by_age(&self) -> Vec<(u64, Key)> {
        let mut all: Vec<_> = self.duties.iter().map(|(key, since)| (*since, *key)).collect();
        all.sort_unstable();
        all
    }
}
