//! Parents that close, and what follows for their children.

use std::path::Path;
use std::time::Duration;

use super::cell::{Cell, NO_RELATIONS, Outcome, relations, timed};
use crate::engine::{Batch, Due, Durability, Engine, Family, Policy, Relations, Result};
use crate::engines::kinlog;

/// How many children one transaction starts.
const AT_ONCE: u32 = 1000;
const CHILDREN: u32 = 1000;

/// What is due, whatever the order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sum {
    children: usize,
    sum: u128,
}

impl Sum {
    pub fn add(&mut self, dues: &[Due]) {
        for due in dues {
            let policy = match due.policy {
                Policy::Terminate => 3,
                Policy::RequestCancel => 5,
            };
            self.sum = self.sum.wrapping_add(u128::from_le_bytes(due.run).wrapping_mul(policy));
        }
        self.children += dues.len();
    }
}

/// One fan-out: how long it took, in microseconds, and what was due.
pub struct FanOut {
    pub plan: f64,
    pub apply: f64,
    pub dues: Vec<Due>,
}

/// Closes a parent and measures what follows.
pub fn close(relations: &dyn Relations, family: Family, durability: Durability) -> Result<FanOut> {
    relations.close_parent(family, Durability::Os)?;
    let (plan, dues) = timed(|| relations.plan(family))?;
    let (apply, reached) = timed(|| relations.apply(family, durability))?;
    if reached != dues.len() || !relations.plan(family)?.is_empty() {
        return Err("the fan-out did not do what was planned".into());
    }
    Ok(FanOut { plan: micros(plan), apply: micros(apply), dues })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Starts a parent and its children.
pub fn start(relations: &dyn Relations, family: Family, children: u32) -> Result<()> {
    for first in (0..children).step_by(AT_ONCE as usize) {
        relations.start_family(family, first..children.min(first + AT_ONCE))?;
    }
    Ok(())
}

pub fn fan_out(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return write_and_sync(cell);
    }
    close_in_turn(cell, CHILDREN, &|outcome, took| {
        outcome.figure("plan", took.plan).figure("apply", took.apply)
    })
}

pub fn children(cell: &Cell) -> Result<Outcome> {
    let children = u32::try_from(cell.size)?;
    let each = f64::from(children);
    close_in_turn(cell, children, &|outcome, took| {
        let outcome = outcome.figure("plan", took.plan).figure("plan-each", took.plan / each);
        outcome.figure("apply", took.apply).figure("apply-each", took.apply / each)
    })
}

type Figures<'a> = dyn Fn(Outcome, &FanOut) -> Outcome + 'a;

/// In each turn a parent of so many children closes, in a store that holds nothing else.
fn close_in_turn(cell: &Cell, children: u32, figures: &Figures<'_>) -> Result<Outcome> {
    let engine = cell.open()?;
    let Some(relations) = engine.relations() else { return Ok(Outcome::lacks(NO_RELATIONS)) };
    let numbered = |n| Family { parent: n * (children + 1) };
    for n in 0..cell.turns {
        start(relations, numbered(n), children)?;
    }
    engine.settle()?;
    let (mut families, mut due) = ((0..cell.turns).map(numbered), Sum::default());
    cell.turns(|fsync| {
        let family = families.next().ok_or("there are no more families")?;
        let took = close(relations, family, Durability::Device)?;
        due.add(&took.dues);
        Ok(figures(Outcome::at(fsync), &took))
    })?;
    Ok(Outcome::default().answer("due", due))
}

/// The bare loop writes and syncs as many bytes as a fan-out adds to kinlog's log.
fn write_and_sync(cell: &Cell) -> Result<Outcome> {
    let beside = cell.dir.with_extension("kinlog");
    let bytes = bytes_of_fan_out(&beside)?;
    std::fs::remove_dir_all(&beside)?;
    let engine = cell.open()?;
    let payload = vec![7; usize::try_from(bytes)?];
    cell.turns(|fsync| {
        let batch = Batch { run: 0, first: 1, events: vec![&payload] };
        let (took, ()) = timed(|| engine.append(&[batch], Durability::Device))?;
        Ok(Outcome::at(fsync).figure("apply", micros(took)))
    })?;
    Ok(Outcome::default())
}

fn bytes_of_fan_out(dir: &Path) -> Result<u64> {
    let engine: Box<dyn Engine> = (kinlog::PEER.open)(dir)?;
    let (relations, family) = (relations(&*engine)?, Family { parent: 0 });
    start(relations, family, CHILDREN)?;
    relations.close_parent(family, Durability::Os)?;
    let before = engine.log_bytes()?.unwrap_or_default();
    relations.apply(family, Durability::Os)?;
    Ok(engine.log_bytes()?.unwrap_or_default() - before)
}
