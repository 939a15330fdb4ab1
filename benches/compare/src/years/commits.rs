//! How long durable commits take while files of the index are written, and while none are.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kinlog::recorder::{Label, Metric, Recorder};
use kinlog::{Close, Durability, NewRun, Options, Store};

use super::fill::Filling;
use super::plan::Plan;
use crate::engine::Result;
use crate::latency::Schedule;
use crate::stats::percentile;
use crate::workloads::Outcome;

/// Commits in a second, each of which begins a run and ends it.
const RATE: u32 = 500;
const LONG: Duration = Duration::from_secs(30);
const LONG_QUICK: Duration = Duration::from_secs(1);
/// How often in a second another thread commits meanwhile, buffered, and how many runs begin and end each time: 10 MB of log
/// in a second. No transaction is so large that others would have to wait for it.
const LOAD_RATE: u32 = 400;
const LOADED: u32 = 50;

/// When files of the index were written or merged.
#[derive(Default)]
struct Writings(Mutex<Vec<[Instant; 2]>>);

impl Recorder for Writings {
    fn observe(&self, metric: &Metric, _: &[Label], seconds: f64) {
        if matches!(metric.name, "kinlog_index_write_seconds" | "kinlog_index_merge_seconds") {
            let now = Instant::now();
            let began = now - Duration::from_secs_f64(seconds);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push([began, now]);
        }
    }
}

impl Writings {
    fn overlap(&self, from: Instant, to: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|[began, ended]| *began < to && from < *ended)
    }
}

/// Commits to a store that other runs are loaded into, so that its index is written and merged.
pub fn beside_index(plan: &Plan, dir: &Path, quick: bool) -> Result<Outcome> {
    let writings = Arc::new(Writings::default());
    let filling = Filling::open(Options::new().recorder(writings.clone()), plan, dir)?;
    let stop = AtomicBool::new(false);
    let long = if quick { LONG_QUICK } else { LONG };
    let spans = thread::scope(|scope| {
        let loader = scope.spawn(|| load(&filling, &stop).map_err(|error| error.to_string()));
        let spans = commits(&filling.store, long);
        stop.store(true, Ordering::Relaxed);
        loader.join().map_err(|_| "the loader panicked")??;
        spans
    })?;
    filling.store.shut_down()?;
    let (beside, apart): (Vec<_>, Vec<_>) =
        spans.iter().partition(|[from, to]| writings.overlap(*from, *to));
    let micros = |[from, to]: &[Instant; 2]| to.duration_since(*from).as_secs_f64() * 1e6;
    let [beside, apart] =
        [beside, apart].map(|spans| spans.into_iter().map(micros).collect::<Vec<_>>());
    let mut outcome =
        Outcome::default().figure("beside-share", beside.len() as f64 / spans.len() as f64);
    for percent in [50, 99] {
        // A quick run may have none of a kind.
        if let (Some(beside), Some(apart)) =
            (percentile(&beside, percent), percentile(&apart, percent))
        {
            outcome = outcome
                .figure(&format!("beside-p{percent}"), beside)
                .figure(&format!("beside-p{percent}-ratio"), beside / apart);
        }
    }
    Ok(outcome)
}

/// When each commit was due, and when it was durable.
fn commits(store: &Store, long: Duration) -> Result<Vec<[Instant; 2]>> {
    let schedule = Schedule { start: Instant::now(), rate: RATE };
    let commit = |n| {
        let due = schedule.wait(n);
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("timed", &format!("timed-{n}"), "Timed"))?;
        tx.close_run(&run, Close::completed(b"done"))?;
        tx.commit()?;
        Ok([due, Instant::now()])
    };
    (0..schedule.count(long)).map(commit).collect()
}

/// Begins and ends runs until it is stopped.
fn load(filling: &Filling<'_>, stop: &AtomicBool) -> Result<()> {
    let schedule = Schedule { start: Instant::now(), rate: LOAD_RATE };
    let mut at = u32::try_from(filling.store.stats()?.runs)?;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        schedule.wait(n);
        filling.go_on(at, at + LOADED, Durability::Buffered)?;
        at += LOADED;
    }
    Ok(())
}
