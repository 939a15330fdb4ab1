//! Making the stores, by the public interface.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use kinlog::{
    Close, Durability, EventKind, NewChild, NewEvent, NewRun, Options, Store, Transaction,
};

use super::plan::{self, Kind, Plan, request_id, run_id, workflow_id, workflow_type};
use crate::data::Data;
use crate::engine::Result;
use crate::engines::kinlog::settle_index;
use crate::process::{die, written_bytes};
use crate::workloads::Outcome;

/// How many runs begin in a transaction.
const AT_ONCE: u32 = 2_048;
const INPUT_BYTES: usize = 64;
const RESULT_BYTES: usize = 32;
/// Of the longest segments, which is the default.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Makes a store, and closes it.
pub fn fill(plan: &Plan, dir: &Path) -> Result<Outcome> {
    let started = Instant::now();
    let filling = Filling::open(Options::new(), plan, dir)?;
    filling.go_on(0, plan.runs, Durability::Buffered)?;
    filling.store.shut_down()?;
    Ok(Outcome::default()
        .figure("fill", started.elapsed().as_secs_f64())
        .figure("written", written_bytes()? as f64 / f64::from(plan.runs)))
}

/// Opens a store until its index has nothing left to merge: it was filled faster than that is done.
pub fn settle(plan: &Plan, dir: &Path) -> Result<Outcome> {
    let started = Instant::now();
    let store = Options::new().create(false).open(dir)?;
    settle_index(&store)?;
    store.shut_down()?;
    Ok(Outcome::default()
        .figure("settle", started.elapsed().as_secs_f64())
        .figure("written-merging", written_bytes()? as f64 / f64::from(plan.runs)))
}

/// Goes on in a store with some thousand runs, and until its last segment is nearly full, and is killed. Quick: however
/// full it is.
pub fn kill(plan: &Plan, dir: &Path, durability: Durability, quick: bool) -> Result<Outcome> {
    /// How often runs are added at least.
    const LEAST: u32 = 4;
    let filling = Filling::open(Options::new(), plan, dir)?;
    let mut at = u32::try_from(filling.store.stats()?.runs)?;
    let enough = at + LEAST * AT_ONCE;
    while at < enough || !(quick || is_nearly_full(&filling.store)) {
        filling.go_on(at, at + AT_ONCE, durability)?;
        at += AT_ONCE;
    }
    filling.store.sync()?;
    die()?;
    Ok(Outcome::default())
}

/// Whether the last segment of the log is: 60 of 64 MiB.
fn is_nearly_full(store: &Store) -> bool {
    store.end().as_u64() % SEGMENT_BYTES > SEGMENT_BYTES / 16 * 15
}

pub struct Filling<'a> {
    plan: &'a Plan,
    pub store: Store,
    data: Data,
    /// The run that begins now, from which the store's clock has the time.
    now: Arc<AtomicU32>,
}

impl<'a> Filling<'a> {
    /// Opens a store to add runs to it.
    pub fn open(options: Options, plan: &'a Plan, dir: &Path) -> Result<Self> {
        let now = Arc::new(AtomicU32::new(0));
        let clock = now.clone();
        let options = options.clock(move || plan::time(clock.load(Ordering::Relaxed)));
        Ok(Filling { plan, store: options.open(dir)?, data: Data::default(), now })
    }

    /// Adds the runs from `from` up to `to`. Each transaction begins some, and ends those of the one before.
    pub fn go_on(&self, from: u32, to: u32, durability: Durability) -> Result<()> {
        let mut begun = (from..from, vec![]);
        for first in (from..to).step_by(AT_ONCE as usize) {
            self.now.store(first, Ordering::Relaxed);
            let runs = first..to.min(first + AT_ONCE);
            let mut tx = self.store.begin();
            self.end(&mut tx, begun.0, &begun.1)?;
            let initiated = self.begin(&mut tx, runs.clone())?;
            tx.commit_with(durability)?;
            begun = (runs, initiated);
        }
        let mut tx = self.store.begin();
        self.end(&mut tx, begun.0, &begun.1)?;
        tx.commit_with(durability)?;
        Ok(())
    }

    /// Begins runs; the Initiated events of those among them that are children.
    fn begin(&self, tx: &mut Transaction<'_>, runs: std::ops::Range<u32>) -> Result<Vec<u32>> {
        let mut initiated = vec![];
        for run in runs {
            let (workflow_id, workflow_type) = (workflow_id(run), workflow_type(run));
            let input = self.data.exactly(run, 1, INPUT_BYTES);
            let (id, time) = (run_id(run), plan::time(run));
            if let Kind::Child { parent, .. } = self.plan.kind(run) {
                let child = NewChild::new(&workflow_id, workflow_type).id(id).input(input).at(time);
                initiated.push(tx.spawn_child(&run_id(parent), child)?.initiated_event_id);
                continue;
            }
            let request_id = request_id(run);
            let mut new = NewRun::new(self.plan.namespace(run), &workflow_id, workflow_type);
            new = new.id(id).input(input).at(time);
            if let Some(request_id) = &request_id {
                new = new.request_id(request_id);
            }
            tx.start(new)?;
        }
        Ok(initiated)
    }

    /// Ends runs: a child is reported to its parent, which is closed after the last one. Those that stay open get an
    /// event, too, so that every history has two.
    fn end(
        &self,
        tx: &mut Transaction<'_>,
        runs: std::ops::Range<u32>,
        initiated: &[u32],
    ) -> Result<()> {
        let mut initiated = initiated.iter();
        for run in runs {
            let result = self.data.exactly(run, 2, RESULT_BYTES);
            let close = || Close::completed(result);
            match self.plan.kind(run) {
                Kind::Parent => {}
                Kind::Alone if self.plan.is_open(run) => {
                    let marker = NewEvent::opaque(EventKind::MARKER_RECORDED, result);
                    tx.append(&run_id(run), marker)?;
                }
                Kind::Alone => _ = tx.close_run(&run_id(run), close())?,
                Kind::Child { parent, is_last } => {
                    let initiated = initiated.next().ok_or("a child was not initiated")?;
                    tx.close_run(&run_id(run), close())?;
                    tx.report_child(&run_id(parent), *initiated)?;
                    if is_last {
                        tx.close_run(&run_id(parent), close())?;
                    }
                }
            }
        }
        Ok(())
    }
}
