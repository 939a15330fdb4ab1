//! A naive engine: runs are lists of events, and everything else is found by looking at all of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kinlog::event::Initiator;
use kinlog::retention::Keep;
use kinlog::{
    DutyKind, EventKind, IdConflictPolicy, IdReusePolicy, Limits, ParentClosePolicy, RunId,
    RunStatus,
};

pub(crate) const NAMESPACES: [&str; 2] = ["wide", "tight"];

/// A child as it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub(crate) workflow: &'static str,
    pub(crate) policy: ParentClosePolicy,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
}

/// Whom a signal or a cancel request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) workflow: &'static str,
    pub(crate) run: Option<RunId>,
    pub(crate) child_only: bool,
}

/// What an event says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Started {
        continued: Option<RunId>,
        parent: Option<(RunId, u32)>,
        root: Option<RunId>,
        request: &'static str,
        attempt: u32,
        initiator: Initiator,
    },
    Closed {
        how: RunStatus,
        next: Option<RunId>,
        replaced: Option<RunId>,
        reason: &'static str,
        initiator: Initiator,
    },
    /// The activities are those open at this point, packed as the store packs them.
    Reset {
        base: RunId,
        activities: Vec<u8>,
        request: &'static str,
    },
    Initiated(Wish),
    ChildRefused {
        initiated: u32,
    },
    ChildStarted {
        initiated: u32,
        child: RunId,
    },
    ChildEnded {
        initiated: u32,
        started: u32,
        last: RunId,
        how: RunStatus,
    },
    Signaled {
        from: Option<(RunId, u32)>,
    },
    CancelRequested {
        from: Option<(RunId, u32)>,
    },
    Asked {
        kind: DutyKind,
        address: Address,
    },
    Answered {
        kind: DutyKind,
        initiated: u32,
        cause: u8,
    },
    Scheduled,
    ActivityEnded {
        scheduled: u32,
        kind: EventKind,
    },
    Marker,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) what: What,
    /// The payload: nothing for 0.
    pub(crate) note: u64,
    pub(crate) commit: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) namespace: usize,
    pub(crate) workflow: &'static str,
    /// The first run of its chain.
    pub(crate) first: usize,
    /// For a run that a reset made: the base run, and the last event that they share.
    pub(crate) base: Option<(usize, u32)>,
    /// All of its history, with what it shares.
    pub(crate) events: Vec<Event>,
    /// It was deleted, and this was kept.
    pub(crate) deleted: Option<Keep>,
}

impl Run {
    pub(crate) fn status(&self) -> RunStatus {
        match self.events.last().map(|event| &event.what) {
            Some(What::Closed { how, .. }) => *how,
            _ => RunStatus::Running,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status().is_open()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap()
    }

    /// The events with their ids.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Event)> {
        (1..).zip(&self.events)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Event> {
        self.events.get(usize::try_from(id).unwrap().checked_sub(1)?)
    }

    /// A reset made another run take over from this one.
    pub(crate) fn is_replaced(&self) -> bool {
        let last = self.events.last().map(|event| &event.what);
        matches!(last, Some(What::Closed { replaced: Some(_), .. }))
    }

    pub(crate) fn next(&self) -> Option<RunId> {
        match self.events.last()?.what {
            What::Closed { next, .. } => next,
            _ => None,
        }
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        self.events.iter().any(|event| matches!(event.what, What::CancelRequested { .. }))
    }

    /// What its own first event was asked for by.
    pub(crate) fn request(&self) -> &'static str {
        let own = self.base.map_or(1, |(_, shared)| shared + 1);
        match self.get(own).map(|event| &event.what) {
            Some(What::Started { request, .. } | What::Reset { request, .. }) => request,
            _ => "",
        }
    }

    /// The activities that have not ended.
    pub(crate) fn activities(&self) -> BTreeSet<u32> {
        let mut open = BTreeSet::new();
        for (id, event) in self.numbered() {
            match event.what {
                What::Scheduled => drop(open.insert(id)),
                What::ActivityEnded { scheduled, .. } => drop(open.remove(&scheduled)),
                _ => {}
            }
        }
        open
    }

    /// Signals or cancel requests without an answer.
    pub(crate) fn waiting(&self, wanted: DutyKind) -> BTreeSet<u32> {
        let mut open = BTreeSet::new();
        for (id, event) in self.numbered() {
            match event.what {
                What::Asked { kind, .. } if kind == wanted => drop(open.insert(id)),
                What::Answered { kind, initiated, .. } if kind == wanted => {
                    open.remove(&initiated);
                }
                _ => {}
            }
        }
        open
    }

    /// The children, as this history tells of them.
    pub(crate) fn relations(&self) -> Vec<Relation> {
        let mut all: Vec<Relation> = vec![];
        for (id, event) in self.numbered() {
            match &event.what {
                What::Initiated(wish) => {
                    let wish = *wish;
                    all.push(Relation { initiated: id, wish, started: None, ended: None });
                }
                What::ChildStarted { initiated, child } => {
                    of(&mut all, *initiated).started = Some((id, *child));
                }
                What::ChildRefused { initiated } => of(&mut all, *initiated).ended = Some(None),
                What::ChildEnded { initiated, how, .. } => {
                    of(&mut all, *initiated).ended = Some(Some(*how));
                }
                _ => {}
            }
        }
        all
    }

    pub(crate) fn relation(&self, initiated: u32) -> Option<Relation> {
        self.relations().into_iter().find(|relation| relation.initiated == initiated)
    }
}

fn of(all: &mut [Relation], initiated: u32) -> &mut Relation {
    all.iter_mut().find(|relation| relation.initiated == initiated).unwrap()
}

/// A child as one history tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Relation {
    pub(crate) initiated: u32,
    pub(crate) wish: Wish,
    /// The ChildStarted event and the child's first run.
    pub(crate) started: Option<(u32, RunId)>,
    /// How it ended; `Some(None)` if it could not be started.
    pub(crate) ended: Option<Option<RunStatus>>,
}

/// What must still happen: kind, run, Initiated event.
pub(crate) type Key = (DutyKind, usize, u32);

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) runs: Vec<Rc<Run>>,
    pub(crate) limits: [Limits; 2],
    pub(crate) commits: u64,
    /// Open duties, with the commit that opened each.
    pub(crate) duties: BTreeMap<Key, u64>,
    /// The relations whose child the close policy has reached.
    pub(crate) applied: BTreeSet<(usize, u32)>,
    /// The bytes of closed runs by number, as they were read before they were deleted.
    pub(crate) bytes: Rc<RefCell<BTreeMap<usize, u64>>>,
    /// Deleted runs that were erased, be it later.
    pub(crate) erased: Rc<RefCell<BTreeSet<RunId>>>,
}

impl State {
    pub(crate) fn new(limits: [Limits; 2]) -> Self {
        let (duties, applied) = (BTreeMap::new(), BTreeSet::new());
        let (bytes, erased) = (Rc::default(), Rc::default());
        State { runs: vec![], limits, commits: 0, duties, applied, bytes, erased }
    }

    pub(crate) fn is_erased(&self, id: &RunId) -> bool {
        self.erased.borrow().contains(id)
    }

    /// A run that the store knows, be it a deleted one.
    pub(crate) fn find_known(&self, id: &RunId) -> Option<usize> {
        self.find(id).filter(|_| !self.is_erased(id))
    }

    pub(crate) fn find(&self, id: &RunId) -> Option<usize> {
        self.runs.iter().position(|run| run.id == *id)
    }

    pub(crate) fn current(&self, namespace: usize, workflow: &str) -> Option<usize> {
        let of = |run: &Rc<Run>| run.namespace == namespace && run.workflow == workflow;
        self.runs.iter().rposition(of).filter(|run| self.is_kept(*run))
    }

    /// Whether something is kept of a run.
    pub(crate) fn is_kept(&self, run: usize) -> bool {
        self.runs[run].deleted != Some(Keep::Nothing)
    }

    /// The runs of a run's chain, in the order in which they began.
    pub(crate) fn chain(&self, run: usize) -> Vec<usize> {
        let first = self.runs[run].first;
        (0..self.runs.len()).filter(|other| self.runs[*other].first == first).collect()
    }

    pub(crate) fn newest(&self, run: usize) -> usize {
        let first = self.runs[run].first;
        self.runs.iter().rposition(|other| other.first == first).unwrap()
    }

    /// The last run of a chain that has ended, and how.
    pub(crate) fn end_of_chain(&self, run: usize) -> Option<(usize, RunStatus)> {
        let last = self.newest(run);
        let ended = !self.runs[last].is_open() && self.runs[last].next().is_none();
        ended.then(|| (last, self.runs[last].status()))
    }

    /// The run that wrote an event of a history.
    pub(crate) fn origin(&self, mut run: usize, event: u32) -> usize {
        while let Some((base, shared)) = self.runs[run].base {
            if event > shared {
                break;
            }
            run = base;
        }
        run
    }

    /// The run that has a child: the one that initiated it, or the last that a reset gave it to,
    /// for whose shared events it was still open.
    pub(crate) fn holder(&self, run: usize, initiated: u32) -> usize {
        let origin = self.origin(run, initiated);
        let has = |other: &usize| self.had(*other, origin, initiated);
        (0..self.runs.len()).rev().find(has).unwrap()
    }

    /// Whether a run has, or once had, the child that this event of `origin` initiated.
    fn had(&self, run: usize, origin: usize, initiated: u32) -> bool {
        if run == origin {
            return true;
        }
        let Some((_, shared)) = self.runs[run].base else { return false };
        let shares = shared >= initiated && self.origin(run, initiated) == origin;
        shares
            && !self.runs[run].events[..usize::try_from(shared).unwrap()].iter().any(|event| {
                matches!(event.what, What::ChildRefused { initiated: it }
                | What::ChildEnded { initiated: it, .. } if it == initiated)
            })
    }

    /// Whether a reset took a child from a run.
    pub(crate) fn is_moved(&self, run: usize, initiated: u32) -> bool {
        let origin = self.origin(run, initiated);
        self.had(run, origin, initiated) && self.holder(run, initiated) != run
    }

    /// The first run of a child, whichever of the runs that share its Initiated event started it.
    pub(crate) fn child(&self, run: usize, initiated: u32) -> Option<usize> {
        let origin = self.origin(run, initiated);
        self.runs.iter().position(|child| match child.events[0].what {
            What::Started { continued: None, parent: Some((parent, event)), .. } => {
                child.base.is_none()
                    && event == initiated
                    && self.origin(self.find(&parent).unwrap(), event) == origin
            }
            _ => false,
        })
    }

    /// The run that has this one as a child, and the Initiated event there.
    pub(crate) fn parent(&self, run: usize) -> Option<(usize, u32)> {
        match self.runs[self.runs[run].first].events[0].what {
            What::Started { parent: Some((parent, initiated)), .. } => {
                Some((self.holder(self.find(&parent).unwrap(), initiated), initiated))
            }
            _ => None,
        }
    }

    /// The root as a run with a parent has it.
    pub(crate) fn told_root(&self, run: usize) -> Option<RunId> {
        match self.runs[self.runs[run].first].events[0].what {
            What::Started { root, .. } => root,
            _ => None,
        }
    }

    /// How many children of a run have no end yet, of those that it has.
    pub(crate) fn open_children(&self, run: usize) -> usize {
        let relations = self.runs[run].relations();
        relations.iter().filter(|relation| self.is_open(run, relation)).count()
    }

    pub(crate) fn is_open(&self, run: usize, relation: &Relation) -> bool {
        relation.ended.is_none() && self.holder(run, relation.initiated) == run
    }
}

impl State {
    /// Gives a run the id that the store gave it.
    pub(crate) fn rename(&mut self, from: RunId, to: RunId) {
        for run in &mut self.runs {
            let run = Rc::make_mut(run);
            rename(&mut run.id, from, to);
            for event in &mut run.events {
                match &mut event.what {
                    What::ChildStarted { child: id, .. }
                    | What::ChildEnded { last: id, .. }
                    | What::Started { parent: Some((id, _)), .. } => rename(id, from, to),
                    _ => {}
                }
            }
        }
    }
}

fn rename(id: &mut RunId, from: RunId, to: RunId) {
    if *id == from {
        *id = to;
    }
}
