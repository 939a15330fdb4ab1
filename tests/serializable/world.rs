//! A world: one store, threads that run programs beside each other, and the oracle.

use std::sync::{Arc, Mutex};

use kinlog::Store;

use crate::board::Board;
use crate::draw::Drawing;
use crate::look::Known;
use crate::mix::Mix;
use crate::perform::Performer;
use crate::place;
use crate::portrait::{compare, portrait};
use crate::program::Program;
use crate::reader;
use crate::record::{Outcome, Record};
use crate::replay::{Failure, replay};
use crate::threads;

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) threads: usize,
    pub(crate) programs: usize,
}

/// What became of a world's transactions.
#[derive(Clone, Copy, Default, Debug)]
#[cfg_attr(shuttle, allow(dead_code))]
pub(crate) struct Tally {
    pub(crate) committed: usize,
    pub(crate) refused: usize,
}

/// A world that went wrong.
pub(crate) struct Broken {
    pub(crate) failure: Failure,
    pub(crate) records: Vec<Record>,
}

/// Who does what in a world.
pub(crate) struct Play {
    pub(crate) name: String,
    pub(crate) mix: Mix,
    /// Done before the threads begin.
    pub(crate) before: Vec<Program>,
    /// For each thread.
    pub(crate) threads: Vec<Vec<Program>>,
}

impl Play {
    /// What this seed gives.
    pub(crate) fn drawn(mix: &Mix, seed: u64, extent: Extent) -> Self {
        let programs = |thread| {
            let mut drawing = Drawing::new(mix, seed, thread);
            (0..extent.programs).map(|_| drawing.program()).collect()
        };
        let threads = (0..extent.threads).map(programs).collect();
        let name = format!("{} with KINLOG_SEED={seed}", mix.name);
        Play { name, mix: *mix, before: vec![], threads }
    }
}

pub(crate) fn run(play: &Play) -> Result<Tally, Box<Broken>> {
    let (place, store) = place::contested(&play.mix);
    let begun = store.end();
    let board = Arc::new(Board::new(play.threads.len() + 1));
    #[cfg(not(shuttle))]
    let _watchdog = crate::watchdog::Watchdog::watch(board.clone(), play.name.clone());
    let (records, seen) = contend(&store, play, &board);
    let checked = seen
        .map_err(Failure::from)
        .and_then(|()| replay(&play.mix, &store, begun, &records))
        .and_then(|()| outlast(store, place.path()));
    match checked {
        Err(failure) => Err(Box::new(Broken { failure, records })),
        Ok(()) => Ok(tally(&records)),
    }
}

fn tally(records: &[Record]) -> Tally {
    let committed = records.iter().filter(|record| record.position().is_some()).count();
    let refused = |record: &&Record| matches!(record.outcome, Outcome::Refused(_));
    Tally { committed, refused: records.iter().filter(refused).count() }
}

/// Runs the programs beside each other.
pub(crate) fn contend(
    store: &Store,
    play: &Play,
    board: &Board,
) -> (Vec<Record>, Result<(), String>) {
    let (known, records) = (Known::default(), Mutex::new(vec![]));
    let perform = |thread: usize, programs: &[Program]| {
        let performer = Performer { store, known: &known, board, thread };
        for (number, program) in programs.iter().enumerate() {
            let record = performer.perform(number, program);
            records.lock().unwrap().push(record);
        }
    };
    perform(play.threads.len(), &play.before);
    let seen = threads::scope(|scope| {
        let perform = &perform;
        let threads = play.threads.iter().enumerate();
        let performers: Vec<_> = threads
            .map(|(thread, programs)| scope.spawn(move || perform(thread, programs)))
            .collect();
        let reader = scope.spawn(|| reader::watch(store, play.mix.workflows, board));
        let ended: Vec<_> = performers.into_iter().map(|performer| performer.join()).collect();
        board.end();
        ended.into_iter().for_each(|ended| ended.unwrap());
        reader.join().unwrap()
    });
    (records.into_inner().unwrap(), seen)
}

/// Does what a play has done before its threads begin.
#[cfg(shuttle)]
pub(crate) fn prepare(store: &Store, play: &Play) {
    let (known, board) = (Known::default(), Board::new(1));
    let performer = Performer { store, known: &known, board: &board, thread: 0 };
    for (number, program) in play.before.iter().enumerate() {
        performer.perform(number, program);
    }
}

/// The store is sound, and the same when it is opened again.
fn outlast(store: Store, path: &std::path::Path) -> Result<(), Failure> {
    let report = store.verify(|_| ()).map_err(|error| Failure::from(error.to_string()))?;
    if !report.is_sound() {
        return Err(format!("not sound: {report:?}").into());
    }
    let before = portrait(&store, &|run| run);
    store.shut_down().unwrap();
    let after = portrait(&place::again(path), &|run| run);
    compare(&before, &after).map_err(|why| format!("opened again: {why}").into())
}
