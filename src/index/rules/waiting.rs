//! How much a run waits for, which limits are held against.

use super::origin::ForkPoint;
use crate::bytes::wide;
use crate::event::{Awaited, RequestKind};
use crate::index::state::{Index, Relation, RunLinks};

/// How much a run waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OpenCounts {
    pub(crate) children: i64,
    pub(crate) activities: i64,
    pub(crate) signals: i64,
    pub(crate) cancels: i64,
}

impl OpenCounts {
    pub(crate) const fn of(&self, awaited: Awaited) -> i64 {
        match awaited {
            Awaited::Activity => self.activities,
            Awaited::CancelRequest => self.cancels,
            Awaited::Child => self.children,
            Awaited::Signal => self.signals,
        }
    }

    pub(super) const fn requests(&mut self, kind: RequestKind) -> &mut i64 {
        match kind {
            RequestKind::Signal => &mut self.signals,
            RequestKind::Cancel => &mut self.cancels,
        }
    }
}

impl std::ops::Add for OpenCounts {
    type Output = OpenCounts;

    fn add(self, other: OpenCounts) -> OpenCounts {
        OpenCounts {
            children: self.children + other.children,
            activities: self.activities + other.activities,
            signals: self.signals + other.signals,
            cancels: self.cancels + other.cancels,
        }
    }
}

impl RunLinks {
    pub(super) fn waiting(&self) -> OpenCounts {
        OpenCounts {
            children: self.open_children.into(),
            activities: count(self.activities.len()),
            signals: self.open_signals.into(),
            cancels: self.open_cancels.into(),
        }
    }
}

impl Index {
    /// What a run waited for after its first `shared` events, but for activities, which a reset
    /// names.
    pub(super) fn waiting_until(&self, ForkPoint { base, shared }: ForkPoint) -> OpenCounts {
        let number = self.runs.number(&base);
        let Some(links) = number.and_then(|number| self.runs.links(number)) else {
            return OpenCounts::default();
        };
        let until = links.children.iter().filter_map(|relation| relation.until(shared));
        let children = until.filter(Relation::is_open).count();
        let of = |kind| {
            let until = links.outgoing.range(..=shared);
            let open = until.filter_map(|(id, _)| self.open_request(number?, *id));
            count(open.filter(|sent| sent.kind == kind).count())
        };
        let (signals, cancels) = (of(RequestKind::Signal), of(RequestKind::Cancel));
        OpenCounts { children: count(children), activities: 0, signals, cancels }
    }
}

pub(super) fn count(many: usize) -> i64 {
    // No list is longer than that.
    wide(many).cast_signed()
}
