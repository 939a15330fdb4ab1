//! The oracle: what was committed, done again, alone and one after the other.

use std::collections::BTreeSet;

use kinlog::{Durability, Position, Store};

use crate::answer::{Answer, No};
use crate::bytes;
use crate::mix::Mix;
use crate::names::Drawn;
use crate::op::Op;
use crate::place;
use crate::portrait::{compare, portrait};
use crate::record::Record;
use crate::take::{Real, duty, take};

/// A transaction that is not what it would have been alone.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// The transaction, by place in the records.
    pub(crate) at: Option<usize>,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure { why, at: None }
    }
}

/// Does everything again that was committed, in the order of the positions, and compares.
pub(crate) fn replay(
    mix: &Mix,
    contested: &Store,
    begun: Position,
    records: &[Record],
) -> Result<(), Failure> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.retain(|at| records[*at].position().is_some());
    // What wrote nothing saw the store that ends where it says; the next commit lies there.
    order.sort_by_key(|at| (records[*at].position(), !records[*at].empty));
    complete(contested, begun, records)?;
    let (_dir, alone) = place::fresh(mix);
    let mut replay = Replay { contested, alone, drawn: Drawn::default() };
    for at in order {
        replay.again(&records[at]).map_err(|why| Failure { why, at: Some(at) })?;
    }
    let drawn = &replay.drawn;
    let found = portrait(contested, &|run| run);
    compare(&found, &portrait(&replay.alone, &|run| drawn.back(run)))
        .map_err(|why| Failure::from(format!("at the end: {why}")))
}

/// Every commit of the log is one that was reported, and the other way round.
fn complete(store: &Store, begun: Position, records: &[Record]) -> Result<(), Failure> {
    let wrote = records.iter().filter(|record| !record.empty);
    let told: BTreeSet<Position> = wrote.filter_map(Record::position).collect();
    let mut found = BTreeSet::new();
    let mut tail = store.tail(begun);
    while let Some(commit) = tail.try_next().unwrap() {
        found.insert(commit.position());
    }
    if told == found {
        Ok(())
    } else {
        Err("the log holds other commits than were told".to_owned().into())
    }
}

struct Replay<'a> {
    contested: &'a Store,
    alone: Store,
    drawn: Drawn,
}

impl Replay<'_> {
    fn again(&mut self, record: &Record) -> Result<(), String> {
        self.drawn.end = self.alone.end();
        let alone = &self.alone;
        let mut tx = alone.begin();
        for done in &record.steps {
            let Some(op) = done.op.named(&mut self.drawn) else { continue };
            let due = due(alone, &op);
            let answer = take(&mut tx, &op, due.as_ref());
            if let (Some(run), Some(there)) = (done.answer.run(), answer.run()) {
                self.drawn.meet(run, there);
            }
            let answer = answer.named(|run| self.drawn.back(run));
            let promised = |answer: &Answer| record.promised(answer.clone(), &done.op);
            if promised(&answer) != promised(&done.answer) {
                return Err(format!(
                    "{:?}\n  answered {:?}\n  alone it answers {answer:?}",
                    done.op, done.answer
                ));
            }
        }
        let commit = tx.commit_with(Durability::Buffered);
        let commit =
            commit.map_err(|e| format!("alone its commit is refused: {:?}", No::of(&e)))?;
        let Some(position) = record.position().filter(|_| !record.empty) else { return Ok(()) };
        self.drawn.committed(position, commit.position());
        let here = bytes::commit_at(self.contested, position);
        let there = bytes::commit_at(&self.alone, commit.position());
        bytes::compare(&here, &there, &mut self.drawn)
    }
}

fn due(store: &Store, op: &Real) -> Option<kinlog::Duty> {
    match *op {
        Op::Settle { kind, run, event } => duty(store, kind, run, event),
        _ => None,
    }
}
