//! The store of a million events that lie in turn: filling, opening, reading, and what it takes.

use std::time::Duration;

use super::cell::{Cell, NOT_A_STORE, Outcome, read_back, timed};
use crate::data::{Digest, next};
use crate::engine::{Batch, Durability, Engine, Result};
use crate::process::{Memory, die, disk_bytes};
use crate::stats::median;

const EVENTS: u32 = 100;
const AT_ONCE: u32 = 1000;
/// How many runs are read, once for memory and to warm up, and once against the clock.
const PICKED: u32 = 1000;

fn runs(cell: &Cell) -> u32 {
    cell.pick(10_000, 1_000)
}

/// Fills, and is killed.
pub fn fill(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let _open = write(cell)?;
    die()?;
    Ok(Outcome::default())
}

/// Opens again and closes in order.
pub fn close(cell: &Cell) -> Result<Outcome> {
    cell.open()?.settle()?;
    Ok(Outcome::default())
}

fn write(cell: &Cell) -> Result<Box<dyn Engine>> {
    let engine = cell.open()?;
    for first in 1..=EVENTS {
        for from in (0..runs(cell)).step_by(AT_ONCE as usize) {
            let batch = |run| Batch { run, first, events: vec![cell.data.payload(run, first)] };
            let batches: Vec<_> = (from..from + AT_ONCE).map(batch).collect();
            engine.append(&batches, Durability::Os)?;
        }
    }
    Ok(engine)
}

pub fn filled(cell: &Cell) -> Result<Outcome> {
    let disk = disk_bytes(&cell.dir)? as f64 / payload_bytes(cell) as f64;
    let fsync = cell.fsync()?;
    let mut state = 7;
    let picks: Vec<_> = (0..cell.pick(PICKED, 100)).map(|_| any_run(cell, &mut state)).collect();
    let before = Memory::now()?;
    let (opening, engine) = open_and_read(cell)?;
    read_back(&*engine, picks.iter().copied(), EVENTS)?;
    let after = Memory::now()?;
    let (read, digest) = read_each(&*engine, &picks)?;
    Ok(Outcome::at(fsync)
        .figure("open", opening.as_secs_f64() * 1e3)
        .figure("read", read)
        .figure("memory", after.resident - before.resident)
        .figure("anonymous", after.anonymous - before.anonymous)
        .figure("disk", disk)
        .answer("read", digest))
}

pub fn killed(cell: &Cell) -> Result<Outcome> {
    let fsync = cell.fsync()?;
    let (opening, engine) = open_and_read(cell)?;
    let seconds = opening.as_secs_f64();
    let mut outcome = Outcome::at(fsync).figure("open", seconds * 1e3);
    if let Some(bytes) = engine.log_bytes()? {
        outcome = outcome.figure("replay", bytes as f64 / 1e9 / seconds);
    }
    // Nothing that was acknowledged is missing.
    let some = (0..runs(cell)).step_by(20);
    Ok(outcome.answer("read", read_back(&*engine, some, EVENTS)?))
}

fn open_and_read(cell: &Cell) -> Result<(Duration, Box<dyn Engine>)> {
    timed(|| {
        let engine = cell.open()?;
        let found = read_back(&*engine, 0..1, EVENTS)?.events;
        if found == u64::from(EVENTS) { Ok(engine) } else { Err("a run is not whole".into()) }
    })
}

/// Microseconds to read a run, and what was read.
pub fn read_each(engine: &dyn Engine, runs: &[u32]) -> Result<(f64, Digest)> {
    let mut digest = Digest::default();
    let mut took = vec![];
    for run in runs {
        let read = timed(|| engine.read(*run, &mut |id, payload| digest.take(id, payload)))?;
        took.push(read.0.as_secs_f64() * 1e6);
    }
    Ok((median(&took).unwrap_or_default(), digest))
}

fn any_run(cell: &Cell, state: &mut u64) -> u32 {
    (next(state) >> 32) as u32 % runs(cell)
}

fn payload_bytes(cell: &Cell) -> u64 {
    let of = |run| (1..=EVENTS).map(move |event| cell.data.payload(run, event).len() as u64);
    (0..runs(cell)).flat_map(of).sum()
}
