//! The steps of a transaction, as the semantics have them.

use std::collections::BTreeSet;

use kinlog::event::Initiator;
use kinlog::{DutyKind, IdConflictPolicy, IdReusePolicy, RunId, RunStatus};

use crate::deletion::gone;
use crate::draft::{Draft, No, Step};
use crate::naive::{Address, Event, Run, State, What, Wish};

/// What a start asks of its workflow id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) namespace: usize,
    pub(crate) workflow: &'static str,
    pub(crate) request: &'static str,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
}

/// What a start comes to.
enum Way {
    Free,
    Existing(RunId),
    Terminate(usize),
    Taken(No),
}

impl Claim {
    pub(crate) fn of(namespace: usize, wish: &Wish) -> Self {
        let Wish { workflow, reuse, conflict, .. } = *wish;
        Claim { namespace, workflow, request: "", reuse, conflict }
    }
}

impl Draft {
    fn resolve(&self, claim: &Claim) -> Way {
        let taken = |run: usize| {
            let run = &self.now.runs[run];
            Way::Taken(No::Taken(run.is_open()))
        };
        let Some(current) = self.now.current(claim.namespace, claim.workflow) else {
            return Way::Free;
        };
        let run = &self.now.runs[current];
        if !claim.request.is_empty() && run.request() == claim.request {
            return Way::Existing(run.id);
        }
        let failed = matches!(
            run.status(),
            RunStatus::Failed | RunStatus::Canceled | RunStatus::Terminated | RunStatus::TimedOut
        );
        match (run.is_open(), claim.reuse, claim.conflict) {
            (false, IdReusePolicy::RejectDuplicate, _) => taken(current),
            (false, IdReusePolicy::AllowDuplicateFailedOnly, _) if !failed => taken(current),
            (false, ..) => Way::Free,
            (true, _, IdConflictPolicy::TerminateExisting)
            | (true, IdReusePolicy::TerminateIfRunning, _) => Way::Terminate(current),
            (true, _, IdConflictPolicy::UseExisting) => Way::Existing(run.id),
            (true, ..) => taken(current),
        }
    }

    pub(crate) fn start(&mut self, claim: &Claim, id: RunId, note: u64) -> Step<RunId> {
        if contradict(claim.reuse, claim.conflict) {
            return Err(vec![No::Invalid]);
        }
        let displaced = match self.resolve(claim) {
            Way::Taken(no) => return Err(vec![no]),
            Way::Existing(run) => return Ok(run),
            Way::Free => None,
            Way::Terminate(run) => Some(run),
        };
        self.all(|tx| {
            let started = What::Started {
                continued: None,
                parent: None,
                root: None,
                request: claim.request,
                attempt: 0,
                initiator: Initiator::Unspecified,
            };
            let first = tx.now.runs.len();
            let (namespace, workflow) = (claim.namespace, claim.workflow);
            let run =
                Run { id, namespace, workflow, first, base: None, events: vec![], deleted: None };
            tx.begin(run, started, note)?;
            tx.make_way(displaced)?;
            Ok(id)
        })
    }

    fn make_way(&mut self, run: Option<usize>) -> Step<()> {
        let reason = "TerminateIfRunning WorkflowIdReusePolicy";
        let open = run.filter(|run| self.now.runs[*run].is_open());
        open.map_or(Ok(()), |run| self.put(run, closed(RunStatus::Terminated, reason), 0).map(drop))
    }

    pub(crate) fn initiate(
        &mut self,
        parent: &RunId,
        wish: &Wish,
        foreign: bool,
        note: u64,
    ) -> Step<u32> {
        let run = self.find(parent)?;
        let mut no = self.refusals(run, &What::Initiated(*wish));
        no.extend(foreign.then_some(No::CrossNamespace));
        no.extend(contradict(wish.reuse, wish.conflict).then_some(No::Invalid));
        if !no.is_empty() {
            return Err(no);
        }
        self.put(run, What::Initiated(*wish), note)
    }

    pub(crate) fn spawn(
        &mut self,
        parent: &RunId,
        wish: &Wish,
        foreign: bool,
        id: RunId,
        note: u64,
    ) -> Step<RunId> {
        let run = self.find(parent)?;
        let mut no = self.refusals(run, &What::Initiated(*wish));
        no.extend(foreign.then_some(No::CrossNamespace));
        no.extend(contradict(wish.reuse, wish.conflict).then_some(No::Invalid));
        no.extend(self.in_the_way(run, wish).err());
        if !no.is_empty() {
            return Err(no);
        }
        self.all(|tx| {
            let initiated = tx.put(run, What::Initiated(*wish), note)?;
            tx.bear(run, initiated, wish, id, note)
        })
    }

    pub(crate) fn start_child(&mut self, parent: &RunId, initiated: u32, id: RunId) -> Step<RunId> {
        let run = self.find(parent)?;
        let started = What::ChildStarted { initiated, child: id };
        let mut no = self.refusals(run, &started);
        let found = self.now.runs[run].relation(initiated);
        let Some(relation) = found else { return Err(no) };
        no.extend(self.in_the_way(run, &relation.wish).err());
        if !no.is_empty() {
            return Err(no);
        }
        let note = self.now.runs[run].get(initiated).unwrap().note;
        self.all(|tx| tx.bear(run, initiated, &relation.wish, id, note))
    }

    /// Whom a child finds in its place; whether it may go there.
    pub(crate) fn in_the_way(&self, parent: usize, wish: &Wish) -> Result<Option<usize>, No> {
        match self.resolve(&Claim::of(self.now.runs[parent].namespace, wish)) {
            Way::Taken(no) => Err(no),
            // A run that exists is nobody's new child.
            Way::Existing(_) => Err(No::Taken(true)),
            Way::Free => Ok(None),
            Way::Terminate(run) => Ok(Some(run)),
        }
    }

    fn bear(
        &mut self,
        parent: usize,
        initiated: u32,
        wish: &Wish,
        id: RunId,
        note: u64,
    ) -> Step<RunId> {
        let displaced = self.in_the_way(parent, wish).map_err(|no| vec![no])?;
        let above = &self.now.runs[parent];
        let (namespace, workflow) = (above.namespace, wish.workflow);
        let started = What::Started {
            continued: None,
            parent: Some((above.id, initiated)),
            root: Some(self.now.told_root(parent).unwrap_or(above.id)),
            request: "",
            attempt: 0,
            initiator: Initiator::Unspecified,
        };
        let first = self.now.runs.len();
        let run = Run { id, namespace, workflow, first, base: None, events: vec![], deleted: None };
        self.begin(run, started, note)?;
        self.put(parent, What::ChildStarted { initiated, child: id }, 0)?;
        self.make_way(displaced)?;
        Ok(id)
    }

    /// Tells a parent how a child ended, be it in this transaction.
    pub(crate) fn report(&mut self, parent: &RunId, initiated: u32) -> Step<u32> {
        let run = self.find(parent)?;
        let what = self.outcome(run, initiated).ok_or_else(|| {
            let closed = (!self.now.runs[run].is_open()).then_some(No::Closed);
            closed.into_iter().chain([No::Illegal]).collect::<Vec<_>>()
        })?;
        self.put(run, what.0, what.1)
    }

    fn outcome(&self, run: usize, initiated: u32) -> Option<(What, u64)> {
        let now = &self.now;
        let (started, _) = now.runs[run].relation(initiated)?.started?;
        let (last, how) = now.end_of_chain(now.child(run, initiated)?)?;
        let last = &now.runs[last];
        let note = last.events.last()?.note;
        Some((What::ChildEnded { initiated, started, last: last.id, how }, note))
    }

    /// Closes a run and begins the next one of its chain.
    pub(crate) fn go_on(
        &mut self,
        run: &RunId,
        how: RunStatus,
        attempt: u32,
        id: RunId,
        note: u64,
    ) -> Step<RunId> {
        let number = self.find(run)?;
        let it = &self.now.runs[number];
        let mut no = vec![];
        no.extend((!it.is_open()).then_some(No::Closed));
        no.extend(
            matches!(how, RunStatus::Canceled | RunStatus::Terminated).then_some(No::Invalid),
        );
        if !no.is_empty() {
            return Err(no);
        }
        let initiator = match (how, attempt) {
            (RunStatus::ContinuedAsNew, _) => Initiator::Workflow,
            (_, 0) => Initiator::CronSchedule,
            _ => Initiator::Retry,
        };
        let started = What::Started {
            continued: Some(*run),
            parent: self.kin(number),
            root: self.now.told_root(number),
            request: "",
            attempt,
            initiator,
        };
        let (first, namespace, workflow) = (it.first, it.namespace, it.workflow);
        let next =
            Run { id, namespace, workflow, first, base: None, events: vec![], deleted: None };
        // Neither a run that continues as new nor one that timed out has a result.
        let plain = matches!(how, RunStatus::Completed | RunStatus::Failed);
        let told =
            if how == RunStatus::ContinuedAsNew { initiator } else { Initiator::Unspecified };
        let closing =
            What::Closed { how, next: Some(id), replaced: None, reason: "", initiator: told };
        self.all(|tx| {
            tx.put(number, closing, if plain { note } else { 0 })?;
            tx.begin(next, started, note)?;
            Ok(id)
        })
    }

    /// The parent that a run names when it goes on.
    fn kin(&self, run: usize) -> Option<(RunId, u32)> {
        let (parent, initiated) = self.now.parent(run)?;
        Some((self.now.runs[parent].id, initiated))
    }

    pub(crate) fn request_cancel(
        &mut self,
        run: &RunId,
        note: u64,
    ) -> Step<(Option<u32>, Vec<u32>)> {
        let run = self.find(run)?;
        let it = &self.now.runs[run];
        let activities = it.activities().into_iter().collect();
        if it.is_open() && it.cancel_requested() {
            return Ok((None, activities));
        }
        let event = self.put(run, What::CancelRequested { from: None }, note)?;
        Ok((Some(event), activities))
    }

    pub(crate) fn reset(
        &mut self,
        base: &RunId,
        last: u32,
        request: &'static str,
        id: RunId,
        note: u64,
    ) -> Step<RunId> {
        let number = self.before.find_known(base).ok_or(vec![No::NotFound])?;
        let run = self.before.runs[number].clone();
        let current = self.now.current(run.namespace, run.workflow);
        if let Some(current) = current
            && !request.is_empty()
            && self.now.runs[current].request() == request
        {
            return Ok(self.now.runs[current].id);
        }
        let own = run.len() - u32::from(!run.is_open());
        let changed = self.changed(number) || current.is_some_and(|run| self.changed(run));
        let deletes = !self.deletions.is_empty();
        if last == 0 || last > own || changed || deletes || self.tells_end_of(number) {
            return Err(vec![No::Invalid]);
        }
        let gone = gone(&self.before, number, last);
        if !gone.is_empty() {
            return Err(gone);
        }
        let shared = run.events[..usize::try_from(last).unwrap()].to_vec();
        let fork = Run { id, base: Some((number, last)), events: shared, ..Run::clone(&run) };
        let activities = fork.activities().iter().flat_map(|id| id.to_le_bytes()).collect();
        let repeated = repeated(&self.before, number, &fork, last);
        self.all(|tx| {
            if let Some(current) = current.filter(|run| tx.now.runs[*run].is_open()) {
                let replaced = (current == number).then_some(id);
                let (how, reason) = (RunStatus::Terminated, "reset");
                let initiator = Initiator::Unspecified;
                tx.put(current, What::Closed { how, next: None, replaced, reason, initiator }, 0)?;
            }
            let first = What::Reset { base: *base, activities, request };
            let fork = tx.begin(fork, first, note)?;
            for what in repeated {
                tx.put(fork, what, 0)?;
            }
            Ok(id)
        })
    }

    /// The run that a request reaches, if there is one.
    pub(crate) fn target(&self, sender: usize, address: &Address) -> Option<usize> {
        let namespace = self.now.runs[sender].namespace;
        let found = match address.run {
            Some(run) => self.now.find(&run).filter(|run| self.now.is_kept(*run))?,
            None => self.now.current(namespace, address.workflow)?,
        };
        let run = &self.now.runs[found];
        if run.namespace != namespace || run.workflow != address.workflow {
            return None;
        }
        let is_child = || self.now.parent(found).is_some_and(|(parent, _)| parent == sender);
        (!address.child_only || is_child()).then_some(found)
    }
}

/// Whether policies say two things of the same run.
fn contradict(reuse: IdReusePolicy, conflict: IdConflictPolicy) -> bool {
    matches!(
        (reuse, conflict),
        (IdReusePolicy::RejectDuplicate, IdConflictPolicy::TerminateExisting)
            | (IdReusePolicy::TerminateIfRunning, IdConflictPolicy::UseExisting)
    )
}

pub(crate) fn closed(how: RunStatus, reason: &'static str) -> What {
    What::Closed { how, next: None, replaced: None, reason, initiator: Initiator::Unspecified }
}

/// What the base run came to know after the point of a reset about what it had begun before; for
/// children also what others that had them came to know.
fn repeated(state: &State, base: usize, fork: &Run, last: u32) -> Vec<What> {
    let later: &[Event] = &state.runs[base].events[usize::try_from(last).unwrap()..];
    let mut repeated = vec![];
    for relation in fork
        .relations()
        .iter()
        .filter(|relation| relation.ended.is_none() && relation.started.is_none())
    {
        let initiated = relation.initiated;
        let refused = What::ChildRefused { initiated };
        if later.iter().any(|event| event.what == refused) {
            repeated.push(refused);
        } else if let Some(child) = state.child(base, initiated) {
            repeated.push(What::ChildStarted { initiated, child: state.runs[child].id });
        }
    }
    let kinds = [DutyKind::DeliverSignal, DutyKind::DeliverCancel];
    let open: BTreeSet<u32> = kinds.iter().flat_map(|kind| fork.waiting(*kind)).collect();
    repeated.extend(open.into_iter().filter_map(|asked| answer(state, base, asked)));
    repeated
}

/// The answer to a request, from whichever run that shares it has one.
fn answer(state: &State, base: usize, asked: u32) -> Option<What> {
    let origin = state.origin(base, asked);
    let shares =
        |run: &usize| state.runs[*run].len() >= asked && state.origin(*run, asked) == origin;
    (0..state.runs.len()).filter(shares).find_map(|run| {
        let events = state.runs[run].events.iter().map(|event| &event.what);
        let mut answers = events
            .filter(|what| matches!(what, What::Answered { initiated, .. } if *initiated == asked));
        answers.next().cloned()
    })
}
