//! Settling all duties writes what settling them one by one writes, the oldest first.

use kinlog::{Duty, DutyFilter, RunFilter, RunId, Store};

use crate::board::Board;
use crate::draw::{DETERMINED, Drawing};
use crate::look::Known;
use crate::mix::{Mix, Sort};
use crate::perform::Performer;
use crate::place;
use crate::portrait::{compare, portrait};
use crate::take::NAMESPACE;

const WORLDS: u64 = 400;

/// Many children to be started in each other's place, and nothing settled on the way.
const UNSETTLED: Mix = Mix {
    name: "unsettled",
    workflows: &["a", "b", "c"],
    keys: 1,
    sorts: &[
        (12, Sort::Start),
        (20, Sort::Initiate),
        (8, Sort::Spawn),
        (5, Sort::Close),
        (4, Sort::GoOn),
        (8, Sort::Ask),
        (2, Sort::Reset),
    ],
    tight: false,
};

/// The world with this seed, the same each time: nobody else is there.
fn grown(seed: u64) -> (tempfile::TempDir, Store) {
    let (dir, store) = place::fresh(&UNSETTLED);
    let (known, board) = (Known::default(), Board::new(1));
    let performer = Performer { store: &store, known: &known, board: &board, thread: 0 };
    let mut drawing = Drawing::new(&UNSETTLED, seed, 0);
    for number in 0..10 {
        performer.perform(number, &drawing.program());
    }
    (dir, store)
}

/// Settles the oldest duty that no limit stands against, until there is none.
fn one_by_one(store: &Store) {
    let mut refused: Vec<Duty> = vec![];
    loop {
        let mut duties = store.duties(DutyFilter::all()).map(Result::unwrap);
        let Some(due) = duties.find(|due| !refused.contains(due)) else { return };
        match store.settle(&due) {
            Ok(Some(_)) => {}
            _ => refused.push(due),
        }
    }
}

/// Names children whose ids were drawn by what began them.
fn names(store: &Store) -> impl Fn(RunId) -> RunId {
    let snapshot = store.snapshot();
    let mut names = std::collections::HashMap::new();
    for info in snapshot.runs(RunFilter::all().namespace(NAMESPACE)).map(Result::unwrap) {
        for child in snapshot.children(&info.id).unwrap() {
            let child = child.unwrap();
            let drawn = child.first_run.filter(|run| run.as_bytes()[0] != DETERMINED);
            if let Some(run) = drawn {
                let mut bytes = *info.id.as_bytes();
                bytes[0] = 0x33;
                bytes[1..5].copy_from_slice(&child.initiated_event_id.to_le_bytes());
                names.entry(run).or_insert(RunId::from_bytes(bytes));
            }
        }
    }
    move |run| names.get(&run).copied().unwrap_or(run)
}

fn told(store: &Store) -> Vec<String> {
    let mut lines = portrait(store, &names(store));
    // The order in which runs came into the store is no part of the law.
    lines.sort();
    lines
}

#[test]
fn settling_all_writes_what_settling_one_by_one_writes() {
    for seed in 1..=WORLDS {
        let (_dir, at_once) = grown(seed);
        let (_other, single) = grown(seed);
        assert_eq!(portrait(&at_once, &|run| run), portrait(&single, &|run| run), "seed {seed}");
        at_once.settle_all().unwrap();
        one_by_one(&single);
        let same = compare(&told(&at_once), &told(&single));
        same.unwrap_or_else(|why| panic!("seed {seed}: at once {why}"));
    }
}
