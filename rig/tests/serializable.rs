//! Serializability by re-execution, with crashes in between: while threads run programs beside each other,
//! the machine's disk is looked at as it would be found after a kill and after a power loss. Whatever
//! is left must be what a first part of the commits do alone, in the order of their positions, with nothing
//! missing that was acknowledged before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    dead_code
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kinlog::{Options, Position, Store};
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

use board::Board;
use record::Record;
use replay::replay;
use take::NAMESPACE;
use world::{Extent, Play, contend};

#[path = "../../tests/serializable/answer.rs"]
mod answer;
#[path = "../../tests/serializable/api.rs"]
mod api;
#[path = "../../tests/serializable/board.rs"]
mod board;
#[path = "../../tests/serializable/bytes.rs"]
mod bytes;
#[path = "../../tests/serializable/draw.rs"]
mod draw;
#[path = "../../tests/serializable/look.rs"]
mod look;
#[path = "../../tests/serializable/mix.rs"]
mod mix;
#[path = "../../tests/serializable/names.rs"]
mod names;
#[path = "../../tests/serializable/op.rs"]
mod op;
#[path = "../../tests/serializable/perform.rs"]
mod perform;
#[path = "../../tests/serializable/place.rs"]
mod place;
#[path = "../../tests/serializable/portrait.rs"]
mod portrait;
#[path = "../../tests/serializable/program.rs"]
mod program;
#[path = "../../tests/serializable/reader.rs"]
mod reader;
#[path = "../../tests/serializable/record.rs"]
mod record;
#[path = "../../tests/serializable/replay.rs"]
mod replay;
#[path = "../../tests/serializable/take.rs"]
mod take;
#[path = "../../tests/serializable/threads.rs"]
mod threads;
#[path = "../../tests/serializable/watchdog.rs"]
mod watchdog;
#[path = "../../tests/serializable/world.rs"]
mod world;

const STORE: &str = "/data/store";
/// How often the disk is looked at in a world.
const IMAGES: usize = 6;

fn open(disk: &SimulatedDisk) -> Store {
    let disk = Arc::new(disk.clone());
    Options::new().segment_bytes(64 << 10).recheck_commits(true).disk(disk).open(STORE).unwrap()
}

/// The disk at some moment, and how far the log was published before.
struct Image {
    published: Position,
    content: Content,
}

/// Takes images, spread over what the threads do.
fn take_images(store: &Store, disk: &SimulatedDisk, ended: &AtomicBool) -> Vec<Image> {
    let mut images = vec![];
    let mut seen = store.end();
    while images.len() < IMAGES && !ended.load(Ordering::Acquire) {
        let published = store.end();
        if published.as_u64() > seen.as_u64() + 3_000 {
            images.push(Image { published, content: disk.content() });
            seen = published;
        }
        thread::yield_now();
    }
    images
}

/// Runs a world on a simulated disk; the images, where the log began, and the records.
fn run(play: &Play, seed: u64) -> (Vec<Image>, Position, Vec<Record>) {
    let disk = SimulatedDisk::new(seed);
    let store = open(&disk);
    store.set_limits(NAMESPACE, play.mix.limits()).unwrap();
    let begun = store.end();
    let board = Board::new(play.threads.len() + 1);
    let (images, ended) = (Mutex::new(vec![]), AtomicBool::new(false));
    let records = thread::scope(|scope| {
        scope.spawn(|| *images.lock().unwrap() = take_images(&store, &disk, &ended));
        let (records, seen) = contend(&store, play, &board);
        ended.store(true, Ordering::Release);
        seen.unwrap();
        records
    });
    (images.into_inner().unwrap(), begun, records)
}

/// What is left on the disk is what the commits before its end do alone.
fn check(play: &Play, begun: Position, records: &[Record], content: Content, least: Position) {
    let store = open(&SimulatedDisk::with(content, 7));
    let end = store.end();
    assert!(end >= least, "{end} is left, and {least} was acknowledged");
    if end < begun {
        return;
    }
    let left = records.iter().filter(|record| record.position().is_some_and(|at| at < end));
    let left: Vec<Record> = left.cloned().collect();
    if let Err(failure) = replay(&play.mix, &store, begun, &left) {
        panic!("{}: {failure:?}", play.name);
    }
    assert!(store.verify(|_| ()).unwrap().is_sound());
}

fn crash(mix: &mix::Mix, seeds: std::ops::Range<u64>) {
    let mut images_seen = 0;
    for seed in seeds {
        let play = Play::drawn(mix, seed, Extent { threads: 4, programs: 40 });
        let (images, begun, records) = run(&play, seed);
        for Image { published, content } in images {
            images_seen += 1;
            let killed = content.after_power_loss(Survivors::Everything);
            check(&play, begun, &records, killed, published);
            let lost = content.after_power_loss(Survivors::Sectors(seed));
            // What is on the device for certain, the disk itself knows.
            let synced =
                open(&SimulatedDisk::with(content.after_power_loss(Survivors::Nothing), 7));
            check(&play, begun, &records, lost, synced.end());
        }
    }
    assert!(images_seen > 5, "{images_seen} images are too few to say anything");
}

#[test]
fn what_a_crash_leaves_is_a_first_part_of_the_order() {
    crash(&mix::EVERYTHING, 1..13);
}

#[test]
fn what_a_crash_leaves_of_resets_is_a_first_part_of_the_order() {
    crash(&mix::RESETS, 1..13);
}

#[test]
fn what_a_crash_leaves_of_rows_is_a_first_part_of_the_order() {
    crash(&mix::ROWS, 1..13);
}
