//! Appending to runs that have begun: durable and buffered, one event and many, one thread and many.

use std::thread;
use std::time::{Duration, Instant};

use super::cell::{Cell, NO_OS, Outcome, read_back, repeat, timed};
use crate::engine::{Batch, Durability, Engine, Result};
use crate::stats::median;

const RUNS: u32 = 10_000;
/// How many runs are read again to check what was written.
const CHECKED: u32 = 16;
const SMALL_BYTES: usize = 120;

/// How long a turn is.
const TURN: Duration = Duration::from_millis(20);

pub fn single(cell: &Cell) -> Result<Outcome> {
    let engine = cell.begun(RUNS)?;
    let mut turn = 0..;
    cell.turns(|fsync| {
        let took = repeat(TURN, || {
            let n = turn.next().unwrap_or_default();
            let batch = one(cell, n % RUNS, 2 + n / RUNS);
            Ok(timed(|| engine.append(&[batch], Durability::Device))?.0)
        })?;
        Ok(Outcome::at(fsync)
            .figure("p50", median(&took).unwrap_or_default() * 1e6)
            .figure("commits", took.len() as f64 / took.iter().sum::<f64>()))
    })?;
    answer(cell, &*engine, 2)
}

/// One transaction of two events for each of `runs` runs.
pub fn together(cell: &Cell, runs: u32) -> Result<Outcome> {
    let engine = cell.begun(RUNS)?;
    let mut turn = 0..;
    cell.turns(|fsync| {
        let mut bytes = 0;
        let took = repeat(TURN, || {
            let batches = two_each(cell, runs, turn.next().unwrap_or_default());
            let events = batches.iter().flat_map(|batch| &batch.events);
            bytes += events.map(|event| event.len()).sum::<usize>();
            Ok(timed(|| engine.append(&batches, Durability::Device))?.0)
        })?;
        let seconds: f64 = took.iter().sum();
        let events = took.len() as f64 * f64::from(2 * runs);
        Ok(Outcome::at(fsync)
            .figure("events", events / seconds)
            .figure("bytes", bytes as f64 / 1e6 / seconds))
    })?;
    answer(cell, &*engine, 3)
}

/// Transactions of 512 runs, one built while the one before is on its way. The clock goes on between
/// them, as there is no other way to say what they take together.
pub fn in_flight(cell: &Cell) -> Result<Outcome> {
    const RUNS_EACH: u32 = 512;
    /// As many transactions as are prepared before the clock starts.
    const AT_ONCE: usize = 24;
    let engine = cell.begun(RUNS)?;
    let mut turn = 1..;
    match engine.append_in_flight(&two_each(cell, RUNS_EACH, 0), 1) {
        Some(submitted) => submitted?,
        None => return Ok(Outcome::lacks("the engine has no commit that can be submitted")),
    }
    engine.drain()?;
    cell.turns(|fsync| {
        let transactions: Vec<_> =
            turn.by_ref().take(AT_ONCE).map(|n| two_each(cell, RUNS_EACH, n)).collect();
        let events = transactions.iter().flatten().flat_map(|batch| &batch.events);
        let bytes: usize = events.map(|event| event.len()).sum();
        let (took, ()) = timed(|| {
            let submit =
                |batches: &Vec<Batch<'_>>| engine.append_in_flight(batches, 1).unwrap_or(Ok(()));
            transactions.iter().try_for_each(submit)?;
            engine.drain()
        })?;
        let (events, seconds) = (AT_ONCE as f64 * f64::from(2 * RUNS_EACH), took.as_secs_f64());
        Ok(Outcome::at(fsync)
            .figure("events", events / seconds)
            .figure("bytes", bytes as f64 / 1e6 / seconds))
    })?;
    answer(cell, &*engine, 3)
}

/// Commits of one event, of which sixteen are in flight; in engines that cannot, sixteen events in one commit.
pub fn in_flight_16(cell: &Cell) -> Result<Outcome> {
    const MOST: usize = 16;
    let engine = cell.begun(RUNS)?;
    let submits = !cell.is_bare() && engine.append_in_flight(&[], MOST).is_some();
    let mut turn = (0..).step_by(MOST);
    cell.turns(|fsync| {
        let (started, mut commits) = (Instant::now(), 0);
        while started.elapsed() < TOGETHER {
            let first = turn.next().unwrap_or_default();
            let some = (first..).take(MOST).map(|n| one(cell, n % RUNS, 2 + n / RUNS));
            let batches: Vec<_> = some.collect();
            if submits {
                let submit = |batch| engine.append_in_flight(std::slice::from_ref(batch), MOST);
                batches.iter().try_for_each(|batch| submit(batch).unwrap_or(Ok(())))?;
            } else {
                engine.append(&batches, Durability::Device)?;
            }
            commits += batches.len();
        }
        engine.drain()?;
        Ok(Outcome::at(fsync).figure("commits", commits as f64 / started.elapsed().as_secs_f64()))
    })?;
    answer(cell, &*engine, 2)
}

/// The `n`th transaction on `runs` runs, of all runs in turn.
fn two_each(cell: &Cell, runs: u32, n: u32) -> Vec<Batch<'_>> {
    let turns = RUNS / runs;
    let (from, first) = (n % turns * runs, 2 + 2 * (n / turns));
    let two = |run| {
        let events = vec![cell.data.payload(run, first), cell.data.payload(run, first + 1)];
        Batch { run, first, events }
    };
    (from..from + runs).map(two).collect()
}

const THREADS: u32 = 16;
const TOGETHER: Duration = Duration::from_millis(40);

pub fn threads(cell: &Cell) -> Result<Outcome> {
    let engine = cell.begun(RUNS)?;
    // How many commits each thread of the sixteen and the single one have made.
    let (mut all, mut one) = ([0; THREADS as usize], [0]);
    let mut alone = || commits_per_second(cell, &*engine, RUNS / 2, &mut one, TOGETHER / 2);
    let mut together = || match cell.is_bare() {
        true => sixteen_at_once(cell, &*engine),
        false => commits_per_second(cell, &*engine, 0, &mut all, TOGETHER),
    };
    let mut alone_first = false;
    cell.turns(|fsync| {
        // The disk's mood may depend on what it did just before.
        alone_first = !alone_first;
        let before = if alone_first { alone()? } else { 0.0 };
        let commits = together()?;
        let alone = if alone_first { before } else { alone()? };
        Ok(Outcome::at(fsync).figure("commits", commits).figure("gain", commits / alone))
    })?;
    answer(cell, &*engine, 2)
}

/// One thread for each count, which commits to every sixteenth of the runs from `base` on, in turn.
fn commits_per_second(
    cell: &Cell,
    engine: &dyn Engine,
    base: u32,
    counts: &mut [u32],
    long: Duration,
) -> Result<f64> {
    const TURNS: u32 = RUNS / 2 / THREADS;
    let before: u32 = counts.iter().sum();
    let started = Instant::now();
    let commit = |thread: u32, count: &mut u32| -> Result<()> {
        loop {
            let n = *count;
            let batch = one(cell, base + thread + THREADS * (n % TURNS), 2 + n / TURNS);
            engine.append(&[batch], Durability::Device)?;
            *count += 1;
            if started.elapsed() >= long {
                return Ok(());
            }
        }
    };
    thread::scope(|scope| {
        let commit = &commit;
        let threads = (0..).zip(counts.iter_mut());
        let threads: Vec<_> =
            threads.map(|(n, count)| scope.spawn(move || commit(n, count))).collect();
        threads.into_iter().try_for_each(|it| it.join().map_err(|_| "a thread panicked")?)
    })?;
    let commits = counts.iter().sum::<u32>() - before;
    Ok(f64::from(commits) / started.elapsed().as_secs_f64())
}

/// What a log at its best makes of 16 threads that wait.
fn sixteen_at_once(cell: &Cell, engine: &dyn Engine) -> Result<f64> {
    let mut turn = 2..;
    let took = repeat(TOGETHER, || {
        let first = turn.next().unwrap_or_default();
        let batches: Vec<_> = (0..THREADS).map(|run| one(cell, run, first)).collect();
        Ok(timed(|| engine.append(&batches, Durability::Device))?.0)
    })?;
    Ok(took.len() as f64 * f64::from(THREADS) / took.iter().sum::<f64>())
}

pub fn buffered(cell: &Cell) -> Result<Outcome> {
    three_at_a_time(cell, &|engine, batch| engine.append(batch, Durability::Os))
}

pub fn ahead(cell: &Cell) -> Result<Outcome> {
    three_at_a_time(cell, &|engine, batch| engine.append_ahead(batch))
}

type Append = dyn Fn(&dyn Engine, &[Batch<'_>]) -> Result<()>;

fn three_at_a_time(cell: &Cell, append: &Append) -> Result<Outcome> {
    /// How long a turn is, and how many commits are made between two looks at the clock.
    const LONG: Duration = Duration::from_millis(100);
    const BETWEEN: usize = 50;
    if !cell.peer.has_os {
        return Ok(Outcome::lacks(NO_OS));
    }
    let engine = cell.begun(RUNS)?;
    let small = |run, event| cell.data.exactly(run, event, SMALL_BYTES);
    let three = |run| Batch { run, first: 2, events: (0..3).map(|n| small(run, n)).collect() };
    let mut batches: Vec<_> = (0..RUNS).map(three).collect();
    let mut chunk = 0;
    cell.turns(|fsync| {
        let (started, mut commits) = (Instant::now(), 0);
        while started.elapsed() < LONG {
            let from = chunk % (batches.len() / BETWEEN) * BETWEEN;
            for batch in &mut batches[from..from + BETWEEN] {
                append(&*engine, std::slice::from_ref(batch))?;
                batch.first += 3;
                commits += 1;
            }
            chunk += 1;
        }
        engine.drain()?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Outcome::at(fsync).figure("events", f64::from(3 * commits) / seconds))
    })?;
    answer(cell, &*engine, 4)
}

fn one(cell: &Cell, run: u32, first: u32) -> Batch<'_> {
    Batch { run, first, events: vec![cell.data.payload(run, first)] }
}

/// What an engine gives back of what it was given.
fn answer(cell: &Cell, engine: &dyn Engine, last: u32) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::default());
    }
    Ok(Outcome::default().answer("read", read_back(engine, 0..CHECKED, last)?))
}
