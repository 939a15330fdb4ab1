//! How figures move as a store grows. It is filled from stage to stage, and at each one every
//! round does the same again, on runs of its own.

use std::time::{Duration, Instant};

use super::cell::{Cell, NOT_A_STORE, Outcome, read_back, timed};
use super::family::{FanOut, Sum, close, start};
use crate::data::next;
use crate::engine::{Batch, Durability, Engine, Family, Relations, Result, workflow_id};
use crate::process::{Memory, disk_bytes};
use crate::stats::median;

/// Events in the store.
pub const STAGES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

const PAYLOAD_BYTES: usize = 120;
const EVENTS: u32 = 100;
/// Of how many runs a transaction has an event.
const AT_ONCE: u32 = 1000;
/// The run that is read at every stage.
const FIXED: u32 = 7;
const CHILDREN: u32 = 100;
const FAMILIES: u32 = 16;
/// Where the runs begin that are not of the fill.
const APPENDED: u32 = 3_000_000;
const PARENTS: u32 = 4_000_000;

/// Fills the store on from `from` events to `size`.
pub fn grow(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let engine = cell.open()?;
    let runs = |events| u32::try_from(events / u64::from(EVENTS));
    let (from, to) = (runs(cell.from)?, runs(cell.size)?);
    for chunk in (from..to).step_by(AT_ONCE as usize) {
        for first in 1..=EVENTS {
            let event = |run| cell.data.exactly(run, first, PAYLOAD_BYTES);
            let batch = |run| Batch { run, first, events: vec![event(run)] };
            let batches: Vec<_> = (chunk..to.min(chunk + AT_ONCE)).map(batch).collect();
            engine.append(&batches, Durability::Os)?;
        }
    }
    engine.settle()?;
    Ok(Outcome::default())
}

pub fn growth(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    // Which of all rounds of all stages it is.
    let turn = cell.size.ilog10() * 100 + cell.round;
    let disk = disk_bytes(&cell.dir)? as f64 / f64::from(1 << 20);
    let fsync = cell.fsync()?;
    let before = Memory::now()?;
    let (opening, engine) = timed(|| cell.open())?;
    let memory = Memory::now()?.resident - before.resident;
    let mut outcome = Outcome::at(fsync)
        .figure("open", opening.as_secs_f64() * 1e3)
        .figure("memory", memory)
        .figure("disk", disk);
    let fixed = read_back(&*engine, FIXED..FIXED + 1, EVENTS)?;
    outcome = outcome.figure("read", read_fixed(&*engine)?).answer("read", fixed);
    if cell.peer.has_os {
        outcome = outcome.figure("append", append(cell, &*engine, APPENDED + turn)?);
    }
    if let Some(relations) = engine.relations() {
        let (lookup, found) = look_up(relations, cell.size)?;
        let closed = fan_outs(relations, turn)?;
        outcome = outcome.figure("lookup", lookup).figure("plan", middle(&closed, |it| it.plan));
        if cell.peer.has_os {
            outcome = outcome.figure("apply", middle(&closed, |it| it.apply));
        }
        let mut due = Sum::default();
        closed.iter().for_each(|it| due.add(&it.dues));
        outcome = outcome.answer("current", found).answer("due", due);
    }
    Ok(outcome)
}

/// Microseconds to read the fixed run.
fn read_fixed(engine: &dyn Engine) -> Result<f64> {
    let mut took = vec![];
    for _ in 0..500 {
        let read = timed(|| read_back(engine, FIXED..FIXED + 1, EVENTS))?;
        took.push(read.0.as_secs_f64() * 1e6);
    }
    Ok(median(&took).unwrap_or_default())
}

/// Microseconds for a buffered commit of three events.
fn append(cell: &Cell, engine: &dyn Engine, run: u32) -> Result<f64> {
    let event = |n| cell.data.exactly(run, n, PAYLOAD_BYTES);
    let begin = Batch { run, first: 1, events: vec![event(1)] };
    engine.append(&[begin], Durability::Os)?;
    let mut batch = Batch { run, first: 2, events: (2..5).map(event).collect() };
    let mut commits = 0;
    let started = Instant::now();
    while started.elapsed() < cell.pick(Duration::from_millis(150), Duration::from_millis(10)) {
        engine.append(std::slice::from_ref(&batch), Durability::Os)?;
        batch.first += 3;
        commits += 1;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(commits))
}

/// Nanoseconds to find the current run of a workflow id, and what was found.
fn look_up(relations: &dyn Relations, events: u64) -> Result<(f64, u128)> {
    const TOGETHER: usize = 100;
    let runs = events / u64::from(EVENTS);
    let mut state = 11;
    let mut any = || u32::try_from(next(&mut state) % runs);
    let ids = (0..10_000).map(|_| Ok(workflow_id(any()?))).collect::<Result<Vec<_>>>()?;
    let (mut took, mut sum) = (vec![], 0u128);
    for some in ids.chunks(TOGETHER) {
        let (time, ()) = timed(|| {
            for id in some {
                let run = relations.current_run(id)?.ok_or("a workflow has no run")?;
                sum = sum.wrapping_add(u128::from_le_bytes(run));
            }
            Ok(())
        })?;
        took.push(time.as_secs_f64() * 1e9 / TOGETHER as f64);
    }
    Ok((median(&took).unwrap_or_default(), sum))
}

fn fan_outs(relations: &dyn Relations, turn: u32) -> Result<Vec<FanOut>> {
    let family = |n| Family { parent: PARENTS + (turn * FAMILIES + n) * (CHILDREN + 1) };
    for n in 0..FAMILIES {
        start(relations, family(n), CHILDREN)?;
    }
    (0..FAMILIES).map(|n| close(relations, family(n), Durability::Os)).collect()
}

fn middle(closed: &[FanOut], of: fn(&FanOut) -> f64) -> f64 {
    median(&closed.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
}
