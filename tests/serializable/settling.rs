//! Settling at the level of the store, beside programs and beside itself: no error that others
//! cause comes out of it, and what it says is done is done.

use std::sync::{Arc, Mutex};
use std::thread;

use kinlog::{Close, Duty, DutyFilter, DutyKind, Error, EventKind, NewEvent, Settled, Store};
use kinlog_testing::Rng;

use crate::board::Board;
use crate::draw::Drawing;
use crate::look::Known;
use crate::mix::{EVERYTHING, Mix, POLICIES, TIGHT};
use crate::perform::Performer;
use crate::place;
use crate::portrait::{compare, portrait};
use crate::reader;
use crate::take::NAMESPACE;
use crate::watchdog::Watchdog;

const PERFORMERS: usize = 4;
const SETTLERS: usize = 3;
const PROGRAMS: usize = 150;

/// A settler's complaint.
type Verdict = Result<(), String>;

/// Whether this very duty is due: one that a reset opens again is another.
fn is_due(store: &Store, duty: &Duty) -> bool {
    let filter = DutyFilter::all().kind(duty.kind()).run(duty.run());
    store.duties(filter).map(Result::unwrap).any(|due| due == *duty)
}

fn list(store: &Store) -> Vec<Duty> {
    store.duties(DutyFilter::all()).map(Result::unwrap).take(50).collect()
}

/// Limits stand against a duty for good; nothing else may.
fn settled<T>(what: &str, outcome: Result<T, Error>) -> Result<Option<T>, String> {
    match outcome {
        Ok(settled) => Ok(Some(settled)),
        Err(Error::LimitExceeded { .. }) => Ok(None),
        Err(error) => Err(format!("{what} failed: {error}")),
    }
}

fn settle_one(store: &Store, rng: &mut Rng) -> Verdict {
    let duties = list(store);
    let Some(due) = duties.get(rng.below(50)).or(duties.first()) else { return Ok(()) };
    let outcome = settled("settle", store.settle(due))?;
    match outcome {
        Some(commit) if is_due(store, due) => {
            Err(format!("settle said {commit:?}, and still due is {due:?}"))
        }
        _ => Ok(()),
    }
}

fn settle_many(store: &Store, along: bool) -> Verdict {
    let before = list(store);
    let (what, outcome) = match along {
        false => ("settle_all", store.settle_all()),
        true => ("settle_with", store.settle_with(&DutyKind::ALL, |tx| tx.put("ready", b"", b""))),
    };
    let outcome: Option<Settled> = settled(what, outcome)?;
    if outcome.is_none_or(|settled| settled.refused > 0) {
        return Ok(());
    }
    match before.iter().find(|due| is_due(store, due)) {
        Some(due) => Err(format!("{what} refused nothing, and still due is {due:?}")),
        None => Ok(()),
    }
}

/// An append or a close in a commit of its own, wherever the run is by then.
fn write(store: &Store, mix: &Mix, rng: &mut Rng) -> Verdict {
    let Some(run) = store.current_run(NAMESPACE, rng.pick(mix.workflows)).unwrap() else {
        return Ok(());
    };
    let outcome = match rng.chance(80) {
        true => store.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")),
        false => store.close_run(&run, Close::failed(b"")),
    };
    match outcome {
        // It closed before, or was deleted.
        Ok(_) | Err(Error::RunClosed { .. } | Error::RunDeleted { .. }) => Ok(()),
        outcome => settled("append or close", outcome).map(drop),
    }
}

fn settler(store: &Store, mix: &Mix, rng: &mut Rng, board: &Board, thread: usize) -> Verdict {
    while !board.has_ended() {
        board.note(thread, &"settles");
        match rng.below(6) {
            0..3 => settle_one(store, rng)?,
            3 => settle_many(store, false)?,
            4 => settle_many(store, true)?,
            _ => write(store, mix, rng)?,
        }
    }
    Ok(())
}

fn world(mix: &Mix, seed: u64) -> Verdict {
    let (dir, store) = place::fresh(mix);
    let board = Arc::new(Board::new(PERFORMERS + SETTLERS));
    let name = format!("settling {} with KINLOG_SEED={seed}", mix.name);
    let _watchdog = Watchdog::watch(board.clone(), name);
    let (known, verdicts) = (Known::default(), Mutex::new(vec![]));
    thread::scope(|scope| {
        let (store, board, known, verdicts) = (&store, &board, &known, &verdicts);
        let performers: Vec<_> = (0..PERFORMERS)
            .map(|thread| {
                let performer = Performer { store, known, board, thread };
                scope.spawn(move || {
                    let mut drawing = Drawing::new(mix, seed, thread);
                    (0..PROGRAMS).for_each(|n| drop(performer.perform(n, &drawing.program())));
                })
            })
            .collect();
        for thread in PERFORMERS..PERFORMERS + SETTLERS {
            let mut rng = Rng::of(seed, thread as u64);
            scope.spawn(move || {
                let verdict = settler(store, mix, &mut rng, board, thread);
                verdicts.lock().unwrap().push(verdict);
            });
        }
        let watching = scope.spawn(|| reader::watch(store, mix.workflows, board));
        let ended: Vec<_> = performers.into_iter().map(|performer| performer.join()).collect();
        board.end();
        ended.into_iter().for_each(|ended| ended.unwrap());
        verdicts.lock().unwrap().push(watching.join().unwrap());
    });
    verdicts.into_inner().unwrap().into_iter().collect::<Verdict>()?;
    at_rest(store, dir.path())
}

/// Nothing is due but what is refused, and the store is the same when it is opened again.
fn at_rest(store: Store, path: &std::path::Path) -> Verdict {
    let last = store.settle_all().map_err(|error| error.to_string())?;
    let left = list(&store).len();
    if u64::try_from(left).unwrap() > last.refused {
        return Err(format!("{left} duties are left after {last:?}"));
    }
    let report = store.verify(|_| ()).map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(format!("{report:?}"));
    }
    let before = portrait(&store, &|run| run);
    store.shut_down().unwrap();
    compare(&before, &portrait(&place::again(path), &|run| run))
}

fn check(mix: &Mix, worlds: u64) {
    let asked = std::env::var("KINLOG_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = asked.map_or(1..worlds + 1, |seed: u64| seed..seed + 1);
    for seed in seeds {
        for _ in 0..if asked.is_some() { 50 } else { 1 } {
            world(mix, seed).unwrap_or_else(|why| panic!("KINLOG_SEED={seed}: {why}"));
        }
    }
}

#[test]
fn policies_are_settled_beside_children_that_go_on() {
    check(&POLICIES, 12);
}

#[test]
fn duties_of_all_kinds_are_settled_beside_each_other() {
    check(&EVERYTHING, 12);
}

#[test]
fn duties_are_settled_beside_each_other_where_limits_are_met() {
    check(&TIGHT, 12);
}
