//! The engine: what is to be done lies in tables, and each row changes in the commit of the events
//! that change it. So a crash leaves nothing half done, and there is nothing to recover.
//!
//! | table | key | a row says |
//! |---|---|---|
//! | `ready` | run | it got an event: replay it |
//! | `activities` | run, event | it is scheduled: do it |
//! | `timers` | due, run, event | it is started: fire it when it is due |
//! | `engine` | `clock` | the time |

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use kinlog::event::StartChildFailedCause;
use kinlog::{
    Close, Durability, DutyFilter, DutyKind, Error, Expect, History, NewChild, NewEvent, NewRun,
    NextRun, Options, RunId, Store, Target, Timestamp, Transaction,
};

use super::Result;
use super::flow::{Command, Flow, Outcome, Stop, Turn, Workflow, replay};

const NAMESPACE: &str = "shop";
const SETTLED_AT_ONCE: usize = 1000;

type Workflows = fn(Flow, &str, String) -> Option<Workflow>;
type Activities = Box<dyn Fn(&str, &str) -> Result<String, String>>;

pub(crate) struct Engine {
    store: Store,
    workflows: Workflows,
    activities: Activities,
    /// Seconds since the beginning. They pass when a timer fires: days take no time, and each life
    /// sees the same ones.
    clock: Arc<AtomicI64>,
    /// How many commits are left to live; none for ever.
    life: Cell<Option<u64>>,
    /// How long a commit waits.
    durability: Durability,
}

impl Engine {
    pub(crate) fn open(
        directory: &Path,
        workflows: Workflows,
        activities: impl Fn(&str, &str) -> Result<String, String> + 'static,
        life: Option<u64>,
    ) -> Result<Self> {
        let clock = Arc::new(AtomicI64::default());
        let seconds = clock.clone();
        let now = move || Timestamp::from_unix_nanos(seconds.load(Relaxed) * 1_000_000_000);
        let store = Options::new().segment_bytes(1 << 20).clock(now).open(directory)?;
        if let Some(seconds) = store.get("engine", b"clock")? {
            clock.store(std::str::from_utf8(&seconds)?.parse()?, Relaxed);
        }
        let (activities, life) = (Box::new(activities), Cell::new(life));
        let durability = Durability::Sync;
        Ok(Engine { store, workflows, activities, clock, life, durability })
    }

    /// From now on, commits do not wait for the device: a power loss can take the last ones.
    pub(crate) fn buffered(mut self) -> Self {
        self.durability = Durability::Buffered;
        self
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Starts workflows, each given by its id, its type and its input: all in one commit, once.
    pub(crate) fn start(&self, workflows: &[(&str, &str, &str)]) -> Result<()> {
        for (id, ..) in workflows {
            if self.store.current_run(NAMESPACE, id)?.is_some() {
                return Ok(());
            }
        }
        let mut tx = self.store.begin();
        for (id, workflow_type, input) in workflows {
            let run = NewRun::new(NAMESPACE, id, workflow_type).input(input.as_bytes());
            let run = run.id(self.next_id(&tx)?);
            tx.start(run)?;
        }
        self.commit(tx)
    }

    /// Works until nothing is left to do.
    pub(crate) fn run(&self) -> Result<()> {
        while self.settle()? || self.take_turn()? || self.do_activity()? || self.fire_timer()? {}
        Ok(())
    }

    /// Lets kinlog do what must follow between runs.
    fn settle(&self) -> Result<bool> {
        if self.durability == Durability::Buffered {
            return self.settle_buffered();
        }
        let settled = self.store.settle_with(&DutyKind::ALL, |tx| self.prepare(tx))?;
        Ok(settled.commits > 0)
    }

    /// The same in a commit of the engine's own, which need not wait.
    fn settle_buffered(&self) -> Result<bool> {
        let due = self.store.duties(DutyFilter::all()).take(SETTLED_AT_ONCE);
        let due = due.collect::<kinlog::Result<Vec<_>>>()?;
        let mut tx = self.store.begin();
        for duty in &due {
            tx.settle(duty)?;
        }
        if !due.is_empty() {
            self.commit(tx)?;
        }
        Ok(!due.is_empty())
    }

    /// Replays the first run that is ready, and appends what it comes to.
    fn take_turn(&self) -> Result<bool> {
        let Some(key) = self.first("ready")? else { return Ok(false) };
        let run = RunId::from_bytes(key.as_slice().try_into()?);
        let history = self.store.history(&run)?;
        let mut tx = self.store.begin();
        tx.delete("ready", &key)?;
        if history.status().is_open() {
            // What came since the history was read is for another turn.
            tx.expect(&run, Expect::NextEvent(history.len() + 1))?;
            let Turn { commands, outcome } = replay(&history, self.workflows)?;
            for command in &commands {
                self.append(&mut tx, &run, command)?;
            }
            if let Some(outcome) = outcome {
                self.close(&mut tx, &history, outcome)?;
            }
        }
        self.commit(tx)?;
        Ok(true)
    }

    /// Appends what a workflow asked for, with the row that sees to it.
    fn append(&self, tx: &mut Transaction<'_>, run: &RunId, command: &Command) -> Result<()> {
        match command {
            Command::Activity { name, input } => {
                let event = NewEvent::activity_scheduled(name).payload(input.as_bytes());
                let scheduled = tx.append(run, event)?;
                tx.put("activities", format!("{run} {scheduled:06}").as_bytes(), b"")?;
            }
            Command::Timer { seconds } => {
                let payload = seconds.to_string();
                let event = NewEvent::timer_started().payload(payload.as_bytes());
                let started = tx.append(run, event)?;
                let due = self.clock.load(Relaxed) + i64::from(*seconds);
                tx.put("timers", format!("{due:012} {run} {started:06}").as_bytes(), b"")?;
            }
            Command::Child { id, workflow, policy, input } => {
                let child = NewChild::new(id, workflow).on_parent_close(*policy);
                let child = child.input(input.as_bytes());
                match tx.spawn_child(run, child.id(self.next_id(tx)?)) {
                    Err(Error::WorkflowExists { .. }) => {
                        let initiated = tx.initiate_child(run, child)?;
                        let cause = StartChildFailedCause::WorkflowAlreadyExists;
                        tx.fail_child(run, initiated, cause)?;
                    }
                    spawned => {
                        spawned?;
                    }
                }
            }
            Command::Signal { to, name, input } => {
                tx.signal_external(run, Target::workflow(to), name, input.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Ends a run as its workflow did.
    fn close(&self, tx: &mut Transaction<'_>, history: &History, outcome: Outcome) -> Result<()> {
        let run = history.run();
        let close = match &outcome {
            Ok(result) => Close::completed(result.as_bytes()),
            Err(Stop::Failed(why)) => Close::failed(why.as_bytes()),
            Err(Stop::Canceled) => Close::canceled(b""),
            Err(Stop::ContinueAsNew(input)) => {
                let next = NextRun::new(history.started()?.workflow_type).input(input.as_bytes());
                tx.continue_as_new(&run, next.id(self.next_id(tx)?))?;
                return Ok(());
            }
        };
        tx.close_run(&run, close)?;
        Ok(())
    }

    /// Does the first activity that is scheduled, and appends what came of it.
    fn do_activity(&self) -> Result<bool> {
        let Some(key) = self.first("activities")? else { return Ok(false) };
        let [run, scheduled] = words(&key)?;
        let (run, scheduled): (RunId, u32) = (run.parse()?, scheduled.parse()?);
        let history = self.store.history(&run)?;
        let mut tx = self.store.begin();
        tx.delete("activities", &key)?;
        if history.status().is_open() {
            let command = history.event(scheduled)?.and_then(|event| Command::told(&event));
            let Some(Command::Activity { name, input }) = command else {
                return Err(format!("event {scheduled} of {run} schedules no activity").into());
            };
            let (event, payload) = match (self.activities)(&name, &input) {
                Ok(result) => (NewEvent::activity_completed(scheduled), result),
                Err(why) => (NewEvent::activity_failed(scheduled), why),
            };
            tx.append(&run, event.payload(payload.as_bytes()))?;
        }
        self.commit(tx)?;
        Ok(true)
    }

    /// Lets the time pass to when the first timer is due. Only called when all else is done.
    fn fire_timer(&self) -> Result<bool> {
        let Some(key) = self.first("timers")? else { return Ok(false) };
        let [due, run, started] = words(&key)?;
        let run: RunId = run.parse()?;
        let mut tx = self.store.begin();
        tx.delete("timers", &key)?;
        if self.store.run(&run)?.status.is_open() {
            self.clock.store(due.parse()?, Relaxed);
            tx.put("engine", b"clock", due.as_bytes())?;
            tx.append(&run, NewEvent::timer_fired(started.parse()?))?;
        }
        self.commit(tx)?;
        Ok(true)
    }

    fn commit(&self, mut tx: Transaction<'_>) -> Result<()> {
        self.prepare(&mut tx)?;
        tx.commit_with(self.durability)?;
        Ok(())
    }

    /// Ends each commit, those that settle too: whoever got an event is ready. An engine that is to
    /// die does so here, at the worst moment: all is done, and nothing of it is kept.
    fn prepare(&self, tx: &mut Transaction<'_>) -> kinlog::Result<()> {
        for run in tx.runs() {
            tx.put("ready", run.as_bytes(), b"")?;
        }
        match self.life.get() {
            Some(0) => std::process::abort(),
            left => self.life.set(left.map(|commits| commits - 1)),
        }
        Ok(())
    }

    /// The next run's id. By default kinlog draws one, but each life is to give the same ones: how
    /// many there are then.
    fn next_id(&self, tx: &Transaction<'_>) -> Result<RunId> {
        let begun = tx.runs().iter().filter(|run| tx.starts(run)).count();
        Ok(format!("{:032x}", self.store.stats()?.runs + begun as u64 + 1).parse()?)
    }

    /// The key of the first row of a table.
    fn first(&self, table: &str) -> Result<Option<Vec<u8>>> {
        let snapshot = self.store.snapshot();
        let row = snapshot.rows(table, ..).next().transpose()?;
        Ok(row.map(|row| row.key.to_vec()))
    }
}

/// The parts of a key.
fn words<const N: usize>(key: &[u8]) -> Result<[&str; N]> {
    let words: Vec<_> = std::str::from_utf8(key)?.split(' ').collect();
    words.try_into().map_err(|_| "a key has other parts".into())
}
