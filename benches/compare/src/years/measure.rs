//! What is measured of a store, in a process that does nothing else.

use std::cmp::Reverse;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use kinlog::read::RunOrder;
use kinlog::{Error, Options, RunFilter, RunId, RunStatus, Store};

use super::plan::{Plan, absent, run_id, workflow_id};
use crate::data::next;
use crate::engine::Result;
use crate::process::{Memory, cpu_ms, forget};
use crate::stats::median;
use crate::workloads::{Outcome, timed};

/// How often a figure is taken in a process; it is the median of these.
const ROUNDS: u64 = 5;
const PICKS: usize = 100_000;
/// Each of which may wait for the device.
const PICKS_COLD: usize = 1_000;
const LISTINGS: usize = 101;
/// Runs of a page of a list.
const PAGE: usize = 100;

/// Opens a store, until a closed run was found in it, and what that takes of memory.
pub fn open(plan: &Plan, dir: &Path) -> Result<Outcome> {
    let before = cpu_ms();
    let (took, _store) = open_and_find(plan, dir)?;
    let cpu = cpu_ms() - before;
    let memory = Memory::now()?;
    Ok(Outcome::default()
        .figure("open", took)
        .figure("open-cpu", cpu)
        .figure("anonymous", memory.anonymous)
        .figure("resident", memory.resident))
}

/// The same after nothing of the store is left in memory.
pub fn open_cold(plan: &Plan, dir: &Path) -> Result<Outcome> {
    forget(dir)?;
    Ok(Outcome::default().figure("open-cold", open_and_find(plan, dir)?.0))
}

/// Milliseconds until a run was found.
fn open_and_find(plan: &Plan, dir: &Path) -> Result<(f64, Store)> {
    let (took, store) = timed(|| {
        let store = Options::new().create(false).open(dir)?;
        store.run(&run_id(plan.largest_family().0))?;
        Ok(store)
    })?;
    Ok((took.as_secs_f64() * 1e3, store))
}

/// Look-ups and reading, all pages in memory.
pub fn look(plan: &Plan, dir: &Path) -> Result<Outcome> {
    let store = Options::new().create(false).open(dir)?;
    let mut outcome = Outcome::default();
    for look_up in &LOOK_UPS {
        let mut figures = vec![];
        // The first round only warms up.
        for round in 0..=ROUNDS {
            let picks = picks(plan, look_up, round, PICKS);
            figures.push(nanos_each(plan, &store, look_up, &picks)?);
        }
        outcome = outcome.figure(look_up.name, median(&figures[1..]).unwrap_or_default());
    }
    outcome = outcome.figure("children", list_children(plan, &store)? / 1e3);
    outcome = outcome.figure("newest", list_newest(&store)?);
    let [closed, open] = histories(plan, &store)?;
    let stats = store.stats()?;
    Ok(outcome
        .figure("history-closed", closed)
        .figure("history-open", open)
        .figure("history-ratio", closed / open)
        .figure("log", stats.log_bytes() as f64 / stats.runs as f64))
}

/// Look-ups after which each round finds nothing of the store in memory.
pub fn look_cold(plan: &Plan, dir: &Path) -> Result<Outcome> {
    let store = Options::new().create(false).open(dir)?;
    let mut outcome = Outcome::default();
    for look_up in &LOOK_UPS {
        let mut figures = vec![];
        for round in 0..ROUNDS {
            let picks = picks(plan, look_up, round, PICKS_COLD);
            forget(dir)?;
            figures.push(nanos_each(plan, &store, look_up, &picks)?);
        }
        let name = format!("{}-cold", look_up.name);
        outcome = outcome.figure(&name, median(&figures).unwrap_or_default());
    }
    let mut figures = vec![];
    for round in 0..ROUNDS {
        let mut state = round + 100;
        let runs: Vec<_> = (0..PICKS_COLD).map(|_| run_id(plan.any_closed(&mut state))).collect();
        forget(dir)?;
        figures.push(read_each(&store, &runs)?);
    }
    Ok(outcome.figure("history-cold", median(&figures).unwrap_or_default()))
}

/// A question, asked of runs that are picked before the clock starts.
struct LookUp {
    name: &'static str,
    pick: fn(u32) -> u32,
    ask: fn(&Store, &Pick) -> Result<Option<RunId>>,
    is_found: bool,
}

struct Pick {
    id: RunId,
    namespace: &'static str,
    workflow_id: String,
}

const LOOK_UPS: [LookUp; 4] = [
    LookUp { name: "run", pick: |run| run, ask: by_run_id, is_found: true },
    LookUp { name: "run-absent", pick: absent, ask: by_run_id, is_found: false },
    LookUp { name: "workflow", pick: |run| run, ask: by_workflow_id, is_found: true },
    LookUp { name: "workflow-absent", pick: absent, ask: by_workflow_id, is_found: false },
];

fn by_run_id(store: &Store, pick: &Pick) -> Result<Option<RunId>> {
    match store.run(&pick.id) {
        Ok(info) if info.status == RunStatus::Completed => Ok(Some(info.id)),
        Ok(info) => Err(format!("run {} is {:?}", pick.id, info.status).into()),
        Err(Error::RunNotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn by_workflow_id(store: &Store, pick: &Pick) -> Result<Option<RunId>> {
    Ok(store.current_run(pick.namespace, &pick.workflow_id)?)
}

/// Other ones in every round.
fn picks(plan: &Plan, look_up: &LookUp, round: u64, count: usize) -> Vec<Pick> {
    let mut state = round + 1;
    let pick = |_| {
        let run = plan.any_closed(&mut state);
        let namespace = plan.namespace(run);
        let run = (look_up.pick)(run);
        Pick { id: run_id(run), namespace, workflow_id: workflow_id(run) }
    };
    (0..count).map(pick).collect()
}

/// Nanoseconds for each question, all of which must be answered rightly.
fn nanos_each(plan: &Plan, store: &Store, look_up: &LookUp, picks: &[Pick]) -> Result<f64> {
    let mut right = 0;
    let started = Instant::now();
    for pick in picks {
        let expected = look_up.is_found.then_some(pick.id);
        right += usize::from((look_up.ask)(store, pick)? == expected);
    }
    let took = started.elapsed();
    if right != picks.len() {
        let (wrong, name) = (picks.len() - right, look_up.name);
        return Err(format!("{name}: {wrong} wrong answers in {} runs", plan.runs).into());
    }
    Ok(took.as_secs_f64() * 1e9 / picks.len() as f64)
}

/// Microseconds to list the children of the largest family.
fn list_children(plan: &Plan, store: &Store) -> Result<f64> {
    let (parent, children) = plan.largest_family();
    let mut figures = vec![];
    for _ in 0..LISTINGS {
        let (took, found) = timed(|| {
            let listed = store.children(&run_id(parent))?;
            let completed = Some(RunStatus::Completed);
            let each = listed.map(|child| Ok(usize::from(child?.outcome == completed)));
            each.sum::<Result<usize>>()
        })?;
        if found != children {
            return Err(format!("{found} children instead of {children}").into());
        }
        figures.push(took.as_secs_f64() * 1e6);
    }
    Ok(median(&figures).unwrap_or_default())
}

/// Microseconds to list the runs that closed last, of all namespaces.
fn list_newest(store: &Store) -> Result<f64> {
    let mut figures = vec![];
    for _ in 0..LISTINGS {
        let (took, page) = timed(|| {
            Ok(store.list_runs(&RunFilter::all(), RunOrder::NewestClosed, PAGE, None)?)
        })?;
        if page.runs.len() != PAGE || !page.runs.is_sorted_by_key(|run| Reverse(run.closed_at)) {
            return Err(format!("{} runs listed, or out of order", page.runs.len()).into());
        }
        figures.push(took.as_secs_f64() * 1e6);
    }
    Ok(median(&figures).unwrap_or_default())
}

/// Nanoseconds to read the history of a closed run, and of an open one that lies beside it.
fn histories(plan: &Plan, store: &Store) -> Result<[f64; 2]> {
    let mut open: Vec<_> = plan.open().collect();
    let mut state = 9;
    open.sort_by_cached_key(|_| next(&mut state));
    let closed: Vec<_> = open.iter().map(|run| run_id(plan.closed_beside(*run))).collect();
    let open: Vec<_> = open.into_iter().map(run_id).collect();
    let mut figures = [vec![], vec![]];
    for _ in 0..=ROUNDS {
        figures[0].push(read_each(store, &closed)?);
        figures[1].push(read_each(store, &open)?);
    }
    // The first round only warmed up.
    Ok(figures.map(|figures| median(&figures[1..]).unwrap_or_default()))
}

/// Nanoseconds for each history, which has two events, or more if it is a parent's.
fn read_each(store: &Store, runs: &[RunId]) -> Result<f64> {
    let (mut events, mut bytes) = (0, 0);
    let started = Instant::now();
    for run in runs {
        for event in &store.history(run)? {
            let event = event?;
            events += 1;
            bytes += black_box(event.payload()).len();
        }
    }
    let took = started.elapsed();
    black_box(bytes);
    if events < 2 * runs.len() {
        return Err(format!("{events} events in {} runs", runs.len()).into());
    }
    Ok(took.as_secs_f64() * 1e9 / runs.len().max(1) as f64)
}
