//! kinlog, as an engine on top of it would use it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kinlog::retention::{Compaction, Keep, Maintenance};
use kinlog::{
    Close, CommitHandle, DutyFilter, DutyKind, EventKind, Limits, NewChild, NewEvent, NewRun,
    ParentClosePolicy, RunId, Store, Timestamp, Transaction,
};

use super::Peer;
use crate::engine::{
    Batch, Due, Durability, Ended, Engine, Facts, Family, Job, Policy, Queue, Relations, Result,
    Retention, policy, run_id, workflow_id,
};

pub const PEER: Peer = Peer {
    name: "kinlog",
    version: "this tree",
    setup: "the defaults; limits of the namespace lifted",
    has_os: true,
    open: |dir| open_with(&kinlog::Options::new(), dir),
};

pub const SMALL: Peer = Peer {
    setup: "the defaults, segments of 16 MiB; a thread of its own erases and compacts, with 200 ms between two rounds",
    open: |dir| open_with(&small(), dir),
    ..PEER
};

fn small() -> kinlog::Options {
    let maintenance = Maintenance::every(Duration::from_millis(200));
    kinlog::Options::new().segment_bytes(16 << 20).maintenance(maintenance)
}

/// Opens the store with other options than the defaults.
pub fn open_with(options: &kinlog::Options, dir: &Path) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Kinlog::open(options, dir)?))
}

const NAMESPACE: &str = "bench";
/// The table of jobs.
const JOBS: &str = "jobs";
/// How many duties go into one commit that does not wait for the device.
const DUTIES_AT_ONCE: usize = 1000;

struct Kinlog {
    store: Store,
    /// Commits that were submitted, the last one last; the log is written in order.
    in_flight: Mutex<VecDeque<CommitHandle>>,
}

impl Kinlog {
    fn open(options: &kinlog::Options, dir: &Path) -> Result<Self> {
        let store = options.open(dir)?;
        let mut limits = Limits::default();
        (limits.history_events, limits.history_bytes) = (u32::MAX - 1, u32::MAX);
        (limits.open_children, limits.open_activities) = (u32::MAX, u32::MAX);
        if store.limits(NAMESPACE) != limits {
            store.set_limits(NAMESPACE, limits)?;
        }
        Ok(Kinlog { store, in_flight: Mutex::default() })
    }

    fn in_flight(&self) -> MutexGuard<'_, VecDeque<CommitHandle>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transaction(&self, batches: &[Batch<'_>]) -> Result<Transaction<'_>> {
        let mut tx = self.store.begin();
        for batch in batches {
            let id = id(batch.run);
            let mut events = batch.events.iter();
            if batch.first == 1 {
                let input = events.next().copied().unwrap_or_default();
                let workflow_id = workflow_id(batch.run);
                tx.start(NewRun::new(NAMESPACE, &workflow_id, "Bench").id(id).input(input))?;
            }
            for payload in events {
                tx.append(&id, NewEvent::opaque(EventKind::MARKER_RECORDED, payload))?;
            }
        }
        Ok(tx)
    }

    /// Commits without waiting, if not in [`Engine::drain`].
    fn submit(&self, tx: Transaction<'_>) -> Result<()> {
        let commit = tx.submit(kinlog::Durability::Buffered)?;
        let mut in_flight = self.in_flight();
        // Those before it need no waiting for.
        in_flight.clear();
        in_flight.push_back(commit);
        Ok(())
    }

    fn duties(&self, family: Family) -> impl Iterator<Item = kinlog::Result<kinlog::Duty>> + '_ {
        let of_parent = DutyFilter::all().kind(DutyKind::ApplyClosePolicy).run(id(family.parent));
        self.store.duties(of_parent)
    }
}

/// Returns when the index has nothing left to write or to merge.
pub fn settle_index(store: &Store) -> Result<()> {
    loop {
        let index = store.stats()?.index;
        if let Some(error) = index.last_error {
            return Err(error.into());
        }
        if index.waiting_layers == 0 && index.unmerged_files == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Engine for Kinlog {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.transaction(batches)?.commit_with(of(durability))?;
        Ok(())
    }

    fn append_ahead(&self, batches: &[Batch<'_>]) -> Result<()> {
        self.submit(self.transaction(batches)?)
    }

    fn append_in_flight(&self, batches: &[Batch<'_>], most: usize) -> Option<Result<()>> {
        let submit = || {
            let commit = self.transaction(batches)?.submit(kinlog::Durability::Sync)?;
            let mut in_flight = self.in_flight();
            in_flight.push_back(commit);
            while in_flight.len() > most {
                in_flight.pop_front().map(CommitHandle::wait).transpose()?;
            }
            Ok(())
        };
        Some(submit())
    }

    fn drain(&self) -> Result<()> {
        let last = self.in_flight().drain(..).next_back();
        last.map(CommitHandle::wait).transpose()?;
        Ok(())
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        for event in &self.store.history(&id(run))? {
            let event = event?;
            each(event.id(), event.payload());
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.store.sync()?;
        settle_index(&self.store)
    }

    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(Some(self.store.stats()?.log_bytes()))
    }

    fn relations(&self) -> Option<&dyn Relations> {
        Some(self)
    }

    fn ended(&self) -> Option<&dyn Ended> {
        Some(self)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        Some(self)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }
}

impl Ended for Kinlog {
    fn put_ended(&self, runs: std::ops::Range<u32>) -> Result<()> {
        let mut tx = self.store.begin();
        for run in runs {
            let (id, workflow_id) = (id(run), workflow_id(run));
            let facts = Facts::of(run, &workflow_id);
            let [started, closed] = [facts.started_at, facts.closed_at].map(time);
            let new = NewRun::new(NAMESPACE, facts.workflow_id, facts.workflow_type);
            tx.start(new.id(id).at(started))?;
            tx.close_run(&id, Close::completed(b"").at(closed))?;
        }
        tx.commit_with(kinlog::Durability::Buffered)?;
        Ok(())
    }

    fn find(&self, id: &[u8; 16], say: &mut dyn FnMut(Facts<'_>)) -> Result<bool> {
        let info = match self.store.run(&RunId::from_bytes(*id)) {
            Err(kinlog::Error::RunNotFound { .. }) => return Ok(false),
            found => found?,
        };
        say(Facts {
            workflow_id: &info.workflow_id,
            workflow_type: &info.workflow_type,
            events: info.events,
            started_at: info.started_at.unix_nanos(),
            closed_at: info.closed_at.ok_or("a run has not ended")?.unix_nanos(),
        });
        Ok(true)
    }
}

impl Retention for Kinlog {
    fn close(&self, run: u32, _: u32, payload: &[u8], waits: bool) -> Result<()> {
        let mut tx = self.store.begin();
        tx.close_run(&id(run), Close::completed(payload))?;
        if !waits {
            return self.submit(tx);
        }
        tx.commit()?;
        Ok(())
    }

    fn delete(&self, run: u32, _: u32) -> Result<()> {
        let mut tx = self.store.begin();
        tx.delete_chain(&id(run), Keep::Nothing)?;
        self.submit(tx)
    }

    fn rest(&self) -> Result<()> {
        self.drain()?;
        self.store.maintain()?;
        Ok(())
    }

    fn compact(&self) -> Result<()> {
        self.store.erase()?;
        self.store.compact(&Compaction::new().dead_percent(0))?;
        Ok(())
    }
}

impl Queue for Kinlog {
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], durability: Durability) -> Result<()> {
        let mut tx = self.store.begin();
        for (number, job) in (first..).zip(jobs) {
            tx.put(JOBS, &Job::key(number), job)?;
        }
        tx.commit_with(of(durability))?;
        Ok(())
    }

    fn take_job(&self, durability: Durability) -> Result<Option<Job>> {
        let (row, _) = self.store.transact_with(of(durability), |tx| {
            let row = tx.rows(JOBS, ..).next().transpose()?;
            if let Some(row) = &row {
                tx.delete(JOBS, &row.key)?;
            }
            Ok(row)
        })?;
        row.map(|row| Job::of(&row.key, row.value)).transpose()
    }
}

impl Relations for Kinlog {
    fn start_family(&self, family: Family, children: std::ops::Range<u32>) -> Result<()> {
        let parent = id(family.parent);
        let mut tx = self.store.begin();
        if children.start == 0 {
            let workflow_id = workflow_id(family.parent);
            tx.start(NewRun::new(NAMESPACE, &workflow_id, "Parent").id(parent))?;
        }
        for n in children {
            let run = family.child(n);
            let workflow_id = workflow_id(run);
            let policy = match policy(n) {
                Policy::Terminate => ParentClosePolicy::Terminate,
                Policy::RequestCancel => ParentClosePolicy::RequestCancel,
            };
            let child = NewChild::new(&workflow_id, "Child").id(id(run)).on_parent_close(policy);
            tx.spawn_child(&parent, child)?;
        }
        tx.commit_with(kinlog::Durability::Buffered)?;
        Ok(())
    }

    fn close_parent(&self, family: Family, durability: Durability) -> Result<()> {
        let mut tx = self.store.begin();
        tx.close_run(&id(family.parent), Close::completed(b""))?;
        tx.commit_with(of(durability))?;
        Ok(())
    }

    fn plan(&self, family: Family) -> Result<Vec<Due>> {
        let due = |duty: kinlog::Result<kinlog::Duty>| {
            let duty = duty?;
            let policy = match duty.close_policy() {
                Some(ParentClosePolicy::RequestCancel) => Policy::RequestCancel,
                _ => Policy::Terminate,
            };
            let run = *duty.child().ok_or("a child that is due has no run")?.as_bytes();
            Ok(Due { run, policy })
        };
        self.duties(family).map(due).collect()
    }

    /// Durably: all that is due in the store, which is no more than this family's.
    fn apply(&self, family: Family, durability: Durability) -> Result<usize> {
        if durability == Durability::Device {
            let settled = self.store.settle_kinds(&[DutyKind::ApplyClosePolicy])?;
            return Ok(usize::try_from(settled.duties)?);
        }
        let duties = self.duties(family).collect::<kinlog::Result<Vec<_>>>()?;
        let mut reached = 0;
        for page in duties.chunks(DUTIES_AT_ONCE) {
            let mut tx = self.store.begin();
            for duty in page {
                reached += usize::from(tx.settle(duty)?);
            }
            tx.commit_with(kinlog::Durability::Buffered)?;
        }
        Ok(reached)
    }

    fn current_run(&self, workflow_id: &str) -> Result<Option<[u8; 16]>> {
        Ok(self.store.current_run(NAMESPACE, workflow_id)?.map(|run| *run.as_bytes()))
    }
}

fn time(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn id(run: u32) -> RunId {
    RunId::from_bytes(run_id(run))
}

fn of(durability: Durability) -> kinlog::Durability {
    match durability {
        Durability::Os => kinlog::Durability::Buffered,
        Durability::Device => kinlog::Durability::Sync,
    }
}
