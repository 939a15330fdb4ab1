//! One parent, its children, all their activities; then the parent closes.

use super::cell::{Cell, NO_OS, NO_RELATIONS, NOT_A_STORE, Outcome, timed};
use super::family::{Sum, start};
use crate::data::Digest;
use crate::engine::{Batch, Durability, Engine, Family, Relations, Result};

const PAYLOAD_BYTES: usize = 32;
/// Scheduled, started, completed.
const STEPS: u32 = 3;

pub fn headline(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let engine = cell.open()?;
    let Some(relations) = engine.relations() else { return Ok(Outcome::lacks(NO_RELATIONS)) };
    if !cell.peer.has_os {
        return Ok(Outcome::lacks(NO_OS));
    }
    let (children, activities) = cell.pick((1000, 1000), (50, 20));
    let family = Family { parent: 0 };
    let fsync = cell.fsync()?;
    let (running, ()) = timed(|| {
        start(relations, family, children)?;
        run_activities(cell, &*engine, family, children, activities)
    })?;
    let (fan_out, due) = timed(|| close(relations, family))?;
    let whole = (running + fan_out).as_secs_f64();
    let steps = read_steps(&*engine, family.child(children / 2), STEPS * activities)?;
    Ok(Outcome::at(fsync)
        .figure("whole", whole)
        .figure("fan-out", fan_out.as_secs_f64() * 1e3)
        .answer("due", due)
        .answer("read", steps))
}

/// Every activity of every child, 3 events a commit, on one child after another.
fn run_activities(
    cell: &Cell,
    engine: &dyn Engine,
    family: Family,
    children: u32,
    activities: u32,
) -> Result<()> {
    let payload = |step| cell.data.exactly(0, step, PAYLOAD_BYTES);
    let events: Vec<_> = (0..STEPS).map(payload).collect();
    let mut batch = Batch { run: 0, first: 0, events };
    for activity in 0..activities {
        batch.first = 2 + STEPS * activity;
        for child in 0..children {
            batch.run = family.child(child);
            engine.append_ahead(std::slice::from_ref(&batch))?;
        }
    }
    engine.drain()
}

fn close(relations: &dyn Relations, family: Family) -> Result<Sum> {
    relations.close_parent(family, Durability::Os)?;
    let mut due = Sum::default();
    due.add(&relations.plan(family)?);
    relations.apply(family, Durability::Os)?;
    Ok(due)
}

/// The activities of one child, without what began it and what the fan-out did to it.
fn read_steps(engine: &dyn Engine, run: u32, steps: u32) -> Result<Digest> {
    let mut digest = Digest::default();
    let mut take = |id: u32, payload: &[u8]| {
        if (2..2 + steps).contains(&id) {
            digest.take(id, payload);
        }
    };
    engine.read(run, &mut take)?;
    Ok(digest)
}
