//! A store to play a scenario in, and short words for what scenarios do and look at.

use std::ops::Deref;

use kinlog::error::Moved;
use kinlog::{
    Close, Durability, DutyFilter, DutyKind, Error, Event, EventKind, Limits, NewChild, NewEvent,
    NewRun, Options, ParentClosePolicy, Result, RunFilter, RunId, RunInfo, RunStatus, Store,
    Transaction,
};

pub(crate) const NAMESPACE: &str = "shop";

pub(crate) const TERMINATE: ParentClosePolicy = ParentClosePolicy::Terminate;
pub(crate) const REQUEST_CANCEL: ParentClosePolicy = ParentClosePolicy::RequestCancel;
pub(crate) const ABANDON: ParentClosePolicy = ParentClosePolicy::Abandon;

/// A store in a directory of its own.
pub(crate) struct World {
    store: Option<Store>,
    options: Options,
    dir: tempfile::TempDir,
}

impl Deref for World {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_segments(1 << 20)
    }

    /// For scenarios that write much: one commit must fit into a segment.
    pub(crate) fn with_segments(bytes: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().segment_bytes(bytes);
        let store = Some(options.open(dir.path()).unwrap());
        World { store, options, dir }
    }

    /// Drops the store, as the end of a process does, and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.options.open(self.dir.path()).unwrap());
    }

    /// Takes steps in one commit.
    pub(crate) fn commit<T>(&self, steps: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let mut tx = self.begin();
        let done = steps(&mut tx);
        tx.commit_with(Durability::Buffered).unwrap();
        done
    }

    /// Changes the limits of the namespace.
    pub(crate) fn limit(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = self.limits(NAMESPACE);
        change(&mut limits);
        self.set_limits(NAMESPACE, limits).unwrap();
    }

    /// Starts a run without parent.
    pub(crate) fn start(&self, workflow_id: &str) -> RunId {
        self.commit(|tx| tx.start(run(workflow_id)).unwrap())
    }

    pub(crate) fn spawn(
        &self,
        parent: &RunId,
        workflow_id: &str,
        policy: ParentClosePolicy,
    ) -> RunId {
        self.commit(|tx| tx.spawn_child(parent, child(workflow_id, policy)).unwrap().run)
    }

    /// Appends an event that relates to nothing.
    pub(crate) fn note(&self, run: &RunId) -> u32 {
        self.commit(|tx| tx.append(run, note()).unwrap())
    }

    pub(crate) fn complete(&self, run: &RunId) {
        self.shut(run, Close::completed(b"done"));
    }

    pub(crate) fn shut(&self, run: &RunId, close: Close<'_>) {
        self.commit(|tx| tx.close_run(run, close).unwrap());
    }

    /// Settles all that is due and returns how many duties that were.
    pub(crate) fn drain(&self) -> u64 {
        let settled = self.settle_all().unwrap();
        assert_eq!(settled.refused, 0, "{:?}", settled.refusal);
        settled.duties
    }

    /// How many duties of a kind are open.
    pub(crate) fn due(&self, kind: DutyKind) -> usize {
        self.duties(DutyFilter::all().kind(kind)).count()
    }

    pub(crate) fn nothing_is_due(&self) {
        for kind in DutyKind::ALL {
            assert_eq!(self.due(kind), 0, "{kind} is due");
        }
    }

    /// The kinds of a run's events.
    pub(crate) fn kinds(&self, run: &RunId) -> Vec<EventKind> {
        let history = self.history(run).unwrap();
        history.iter().map(|event| event.unwrap().kind()).collect()
    }

    /// The kinds of a run's events are these.
    #[track_caller]
    pub(crate) fn assert_kinds<const N: usize>(&self, run: &RunId, expected: [EventKind; N]) {
        assert_eq!(self.kinds(run), expected);
    }

    /// Looks at one event.
    pub(crate) fn event<T>(&self, run: &RunId, id: u32, look: impl FnOnce(&Event<'_>) -> T) -> T {
        let history = self.history(run).unwrap();
        let event = history.from(id).next().unwrap().unwrap();
        assert_eq!(event.id(), id);
        look(&event)
    }

    pub(crate) fn status(&self, run: &RunId) -> RunStatus {
        self.run(run).unwrap().status
    }

    /// The run that a workflow id stands for.
    pub(crate) fn current(&self, workflow_id: &str) -> Option<RunId> {
        self.current_run(NAMESPACE, workflow_id).unwrap()
    }

    /// How many runs a workflow ever had.
    pub(crate) fn runs_of(&self, workflow_id: &str) -> usize {
        let filter = RunFilter::all().namespace(NAMESPACE).workflow_id(workflow_id);
        self.snapshot().runs(filter).count()
    }

    /// Every run's sizes are what its events add up to.
    fn sizes_are_exact(&self) {
        let snapshot = self.snapshot();
        let whole = |info: &RunInfo| info.deleted.is_none();
        for info in snapshot.runs(RunFilter::all()).map(Result::unwrap).filter(whole) {
            let history = snapshot.history(&info.id).unwrap();
            let mut bytes = 0;
            for (expected, event) in (1..).zip(&history) {
                let event = event.unwrap();
                assert_eq!(event.id(), expected, "ids without gaps");
                bytes += u64::from(event.size());
            }
            assert_eq!((info.bytes, info.events), (bytes, history.len()));
        }
    }

    /// Ends a scenario that leaves nothing to be done: what `check` looks at holds now and after
    /// the store was opened again.
    pub(crate) fn ends(self, check: impl Fn(&World)) {
        self.ends_with_duties(|world| {
            check(world);
            world.nothing_is_due();
        });
    }

    /// Ends a scenario that is about duties which stay open.
    pub(crate) fn ends_with_duties(mut self, check: impl Fn(&World)) {
        check(&self);
        self.sizes_are_exact();
        self.verify(|_| ()).unwrap();
        self.reopen();
        check(&self);
        self.sizes_are_exact();
        self.verify(|_| ()).unwrap();
    }
}

pub(crate) fn run(workflow_id: &str) -> NewRun<'_> {
    NewRun::new(NAMESPACE, workflow_id, "Order")
}

pub(crate) fn child(workflow_id: &str, policy: ParentClosePolicy) -> NewChild<'_> {
    NewChild::new(workflow_id, "Shipping").on_parent_close(policy)
}

/// An event that relates to nothing.
pub(crate) fn note() -> NewEvent<'static> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, b"note")
}

/// What moved, where a transaction was overtaken.
pub(crate) fn overtaken(error: Error) -> Moved {
    assert!(error.is_retryable(), "{error}");
    match error {
        Error::Overtaken { moved, attempts: 1 } => moved,
        other => panic!("{other}"),
    }
}

/// What a step out of turn is answered with: kind and Initiated event, for this run.
#[track_caller]
pub(crate) fn assert_illegal<T: std::fmt::Debug>(
    outcome: Result<T>,
    expected: RunId,
    kind: EventKind,
    refers_to: u32,
) {
    match outcome {
        Err(Error::IllegalEvent { run, kind: found, refers_to: event, why }) => {
            assert_eq!((run, found, event), (expected, kind, refers_to), "{why}");
        }
        other => panic!("not an illegal event: {other:?}"),
    }
}

/// What crossing a limit is answered with: the sizes now, asked for, and allowed.
#[track_caller]
pub(crate) fn assert_limit<T: std::fmt::Debug>(outcome: Result<T>, expected: (u64, u64, u64)) {
    match outcome {
        Err(Error::LimitExceeded { now, asked, max, .. }) => {
            assert_eq!((now, asked, max), expected);
        }
        other => panic!("not over a limit: {other:?}"),
    }
}
