//! Reading runs whose events lie side by side in a log, as no other run was written meanwhile.

use super::cell::{Cell, NOT_A_STORE, Outcome, read_back};
use super::filled::read_each;
use crate::data::next;
use crate::engine::{Batch, Durability, Result};

const EVENTS: u32 = 100;
/// How many runs are read, once to warm up, and once against the clock.
const PICKED: u32 = 1000;

pub fn together(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let engine = cell.open()?;
    let runs = cell.pick(1_000, 100);
    // The first half an event a commit; the others in one.
    for run in 0..2 * runs {
        // Trees lay rows out by their keys, and where each commit would be synced it would take for ever.
        let each = if run < runs && cell.peer.has_os { 1 } else { EVENTS };
        for first in (1..=EVENTS).step_by(each as usize) {
            let events = (first..first + each).map(|event| cell.data.payload(run, event)).collect();
            engine.append(&[Batch { run, first, events }], Durability::Os)?;
        }
    }
    engine.settle()?;
    let mut outcome = Outcome::at(cell.fsync()?);
    for (metric, from) in [("commit-each", 0), ("one-commit", runs)] {
        let mut state = 7;
        let mut any = || from + (next(&mut state) >> 32) as u32 % runs;
        let picks: Vec<_> = (0..cell.pick(PICKED, 100)).map(|_| any()).collect();
        read_back(&*engine, picks.iter().copied(), EVENTS)?;
        let (read, digest) = read_each(&*engine, &picks)?;
        outcome = outcome.figure(metric, read).answer(metric, digest);
    }
    Ok(outcome)
}
