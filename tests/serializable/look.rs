//! What a program's names stand for, as seen from outside its transaction.

use std::collections::HashMap;
use std::sync::Mutex;

use kinlog::{Position, RunId, Store};

use crate::answer::Answer;
use crate::op::Names;
use crate::program::{Which, Who};
use crate::take::NAMESPACE;

/// From how far back runs are known.
const KNOWN: usize = 10;

/// The runs that are known in a world, in the order in which they became known.
#[derive(Default)]
pub(crate) struct Known(Mutex<Vec<RunId>>);

impl Known {
    pub(crate) fn add(&self, run: RunId) {
        self.0.lock().unwrap().push(run);
    }

    fn get(&self, back: usize) -> Option<RunId> {
        let runs = self.0.lock().unwrap();
        let back = back % KNOWN.min(runs.len().max(1));
        runs.iter().rev().nth(back).copied()
    }
}

pub(crate) struct Look<'a> {
    pub(crate) store: &'a Store,
    pub(crate) known: &'a Known,
    /// By step; `Nothing` for steps that were left out.
    pub(crate) answers: Vec<Answer>,
    /// What is named once stays what it is.
    pub(crate) current: HashMap<&'static str, Option<RunId>>,
    pub(crate) back: HashMap<usize, Option<RunId>>,
    /// Where the log ended when the transaction began.
    pub(crate) begun: Position,
}

impl<'a> Look<'a> {
    pub(crate) fn new(store: &'a Store, known: &'a Known) -> Self {
        let (current, back) = (HashMap::new(), HashMap::new());
        Look { store, known, answers: vec![], current, back, begun: store.end() }
    }

    fn nth(events: &[u32], pick: usize) -> Option<u32> {
        let pick = pick.checked_rem(events.len())?;
        // The last ones matter most.
        events.iter().rev().nth(pick % 4).copied()
    }
}

impl Names<Who, Which> for Look<'_> {
    type Run = RunId;
    type Event = u32;

    fn run(&mut self, run: Who) -> Option<RunId> {
        match run {
            Who::Current(workflow) => {
                let find = || self.store.current_run(NAMESPACE, workflow).unwrap();
                *self.current.entry(workflow).or_insert_with(find)
            }
            Who::Known(back) => *self.back.entry(back).or_insert_with(|| self.known.get(back)),
            Who::Step(step) => match self.answers.get(step)? {
                Answer::Run(run, _) => Some(*run),
                _ => None,
            },
        }
    }

    fn event(&mut self, run: Who, event: Which) -> Option<u32> {
        if let Which::Step(step) = event {
            return match self.answers.get(step)? {
                Answer::Event(id) => Some(*id),
                _ => None,
            };
        }
        let run = self.run(run)?;
        // A run that begins in this transaction has one event.
        let events = self.store.run(&run).map_or(1, |info| info.events);
        match event {
            Which::Last => Some(events),
            Which::Next => Some(events + 1),
            Which::Shared(pick) => Some(1 + u32::try_from(pick).ok()? % events),
            Which::Activity(pick) => Self::nth(&self.store.open_activities(&run).ok()?, pick),
            Which::Initiated(pick) => {
                let snapshot = self.store.snapshot();
                let children = snapshot.children(&run).ok()?;
                let events: Vec<u32> =
                    children.map(|child| child.unwrap().initiated_event_id).collect();
                Self::nth(&events, pick)
            }
            Which::Step(_) => None,
        }
    }

    fn position(&mut self, _: Position) -> Position {
        self.begun
    }
}
