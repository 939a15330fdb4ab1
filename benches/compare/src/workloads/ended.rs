//! Finding runs that have ended by their id, in a store of many.

use std::time::{Duration, Instant};

use super::cell::{Cell, NOT_A_STORE, Outcome, timed};
use crate::data::{Digest, next};
use crate::engine::{Ended, Engine, Result, run_id};
use crate::process::{Memory, forget};
use crate::stats::median;

/// How many runs one transaction puts.
const AT_ONCE: u32 = 20_000;
const ROUNDS: u64 = 5;
const PICKS: usize = 100_000;
/// Each of which may wait for the device.
const PICKS_COLD: usize = 1_000;
/// Numbers from here on are no runs.
const ABSENT: u32 = 1 << 31;

const NOT_ASKED: &str = "is not asked: LMDB and redb stand for stores of rows";

/// Makes the store, and closes it.
pub fn fill(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let engine = cell.open()?;
    let Some(ended) = engine.ended() else { return Ok(Outcome::lacks(NOT_ASKED)) };
    let runs = u32::try_from(cell.size)?;
    for first in (0..runs).step_by(AT_ONCE as usize) {
        ended.put_ended(first..runs.min(first + AT_ONCE))?;
    }
    engine.settle()?;
    Ok(Outcome::default())
}

/// First with nothing of the store in memory, then with what is needed of it.
pub fn ended(cell: &Cell) -> Result<Outcome> {
    let fsync = cell.fsync()?;
    forget(&cell.dir)?;
    let before = Memory::now()?;
    let (opening_cold, engine) = open_and_find(cell)?;
    let anonymous = Memory::now()?.anonymous - before.anonymous;
    forget(&cell.dir)?;
    let (cold, _) = look_up(cell, found(&*engine)?, 0, PICKS_COLD, 0)?;
    let mut outcome = Outcome::at(fsync);
    for (metric, to, absent) in [("hit", "found", 0), ("miss", "absent", ABSENT)] {
        let (mut figures, mut digest) = (vec![], Digest::default());
        // The first round only warms up.
        for round in 0..=ROUNDS {
            let looked = look_up(cell, found(&*engine)?, absent, cell.pick(PICKS, 1_000), round)?;
            figures.push(looked.0);
            digest = looked.1;
        }
        let nanos = median(&figures[1..]).unwrap_or_default();
        outcome = outcome.figure(metric, nanos).answer(to, digest);
    }
    drop(engine);
    let (opening, _engine) = open_and_find(cell)?;
    Ok(outcome
        .figure("open", opening.as_secs_f64() * 1e3)
        .figure("open-cold", opening_cold.as_secs_f64() * 1e3)
        .figure("hit-cold", cold / 1e3)
        .figure("anonymous", anonymous))
}

fn found(engine: &dyn Engine) -> Result<&dyn Ended> {
    engine.ended().ok_or_else(|| NOT_ASKED.into())
}

fn open_and_find(cell: &Cell) -> Result<(Duration, Box<dyn Engine>)> {
    timed(|| {
        let engine = cell.open()?;
        match found(&*engine)?.find(&run_id(0), &mut |_| ())? {
            true => Ok(engine),
            false => Err("a run is missing".into()),
        }
    })
}

/// Nanoseconds to look a run up, of other ones in every round, and what was found.
fn look_up(
    cell: &Cell,
    ended: &dyn Ended,
    absent: u32,
    count: usize,
    round: u64,
) -> Result<(f64, Digest)> {
    let mut state = round + 1;
    let any = |_| run_id((next(&mut state) % cell.size) as u32 | absent);
    let picks: Vec<_> = (0..count).map(any).collect();
    let (mut digest, mut hits) = (Digest::default(), 0);
    let started = Instant::now();
    for id in &picks {
        let found = ended.find(id, &mut |facts| {
            let seconds = (facts.closed_at / 1_000_000_000) as u32;
            digest.take(seconds ^ facts.events, facts.workflow_id.as_bytes());
        })?;
        hits += usize::from(found);
    }
    let took = started.elapsed();
    let expected = if absent == 0 { count } else { 0 };
    if hits != expected {
        return Err(format!("{hits} of {count} runs are there, not {expected}").into());
    }
    Ok((took.as_secs_f64() * 1e9 / count as f64, digest))
}
