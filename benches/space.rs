//! Years in minutes: an engine that starts, closes and deletes runs at a steady rate, until 20 times what it keeps has
//! gone through. Once without a compaction, and once with one beside it: how large the log is, how much was written, and
//! how long a durable commit takes. And how long it takes to read a history that others lie between, before and after.
//!
//! Prints a table; `--quick` only shows that it works, `--kept N` keeps so many runs.

#![allow(missing_docs, dead_code)]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod support;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Durability, NewRun, Options, RunId, Store};
use support::{Scratch, event};

/// Events of a run besides the first and the last; one commit each.
const EVENTS: usize = 18;
const PAYLOAD: [u8; 500] = [7; 500];
/// Runs that are open at a time.
const OPEN: usize = 20;

/// What a round came to.
struct Done {
    live_bytes: u64,
    most_bytes: u64,
    last_bytes: u64,
    written_bytes: u64,
    /// The files of the index at most, merges among them, and at the end.
    index_bytes: [u64; 2],
    /// Memory of the process that no file backs, after a quarter of all runs and at the end.
    memory_bytes: [u64; 2],
    durable: Vec<Duration>,
    took: Duration,
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick" || arg == "--test");
    let given = std::env::args().skip_while(|arg| arg != "--kept").nth(1);
    let given = given.map(|kept| kept.parse().unwrap());
    let kept = given.unwrap_or(if quick { 200 } else { 8_000 });
    println!("{kept} runs of {} events kept, {} gone through", EVENTS + 2, 20 * kept);
    let alone = round(kept, false);
    let beside = round(kept, true);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{:<28}{:>12}{:>12}", "", "without", "compacted");
    let row = |what: &str, of: &dyn Fn(&Done) -> f64| {
        println!("{what:<28}{:>12.2}{:>12.2}", of(&alone), of(&beside));
    };
    row("live, MiB", &|it| mib(it.live_bytes));
    row("log at the end, MiB", &|it| mib(it.last_bytes));
    row("log at most, MiB", &|it| mib(it.most_bytes));
    row("log / live at the end", &|it| it.last_bytes as f64 / it.live_bytes as f64);
    row("log / live at most", &|it| it.most_bytes as f64 / it.live_bytes as f64);
    row("written, MiB", &|it| mib(it.written_bytes));
    row("index at most, MiB", &|it| mib(it.index_bytes[0]));
    row("index at the end, MiB", &|it| mib(it.index_bytes[1]));
    row("memory after a quarter, MiB", &|it| mib(it.memory_bytes[0]));
    row("memory at the end, MiB", &|it| mib(it.memory_bytes[1]));
    row("durable commit p50, us", &|it| at(&it.durable, 0.5));
    row("durable commit p99, us", &|it| at(&it.durable, 0.99));
    row("took, s", &|it| it.took.as_secs_f64());
    read(if quick { 50 } else { 5_000 });
    left(if quick { 200 } else { 5_000 });
}

/// What is left in the log of runs that were deleted, in segments that are small beside all of them.
fn left(many: usize) {
    let scratch = Scratch::new();
    let store = Options::new().segment_bytes(1 << 20).open(scratch.path()).unwrap();
    let mut durable = vec![];
    let groups = (0..many / OPEN).map(|group| run_group(&store, group, &mut durable));
    let runs: Vec<RunId> = groups.flatten().collect();
    for run in &runs {
        let mut tx = store.begin();
        tx.delete_run(run, Keep::Nothing).unwrap();
        tx.submit(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    let left = || {
        let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
        let bytes: u64 = done.segments.iter().map(|segment| segment.left_bytes - 4096).sum();
        bytes as f64 / runs.len() as f64
    };
    let deleted = left();
    let began = Instant::now();
    let erased = store.erase().unwrap().runs;
    let took = began.elapsed().as_secs_f64() * 1e6 / erased as f64;
    println!("left of a deleted run: {deleted:.0} B; once erased: {:.0} B", left());
    println!("erasing a run: {took:.1} us, of {erased}");
}

fn at(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part) as usize;
    sorted.get(place).map_or(0.0, |it| it.as_secs_f64() * 1e6)
}

/// Runs of which 20 at a time get their events in turn; each that closes makes the oldest one go.
fn round(kept: usize, compacts: bool) -> Done {
    let scratch = Scratch::new();
    let store = scratch.open();
    let (ended, rewritten) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let (mut durable, mut most, mut index_most, mut quarter) = (vec![], 0, 0, 0);
    let groups = 20 * kept / OPEN;
    std::thread::scope(|scope| {
        if compacts {
            scope.spawn(|| compact_beside(&store, &ended, &rewritten));
        }
        let mut closed = VecDeque::new();
        for group in 0..groups {
            closed.extend(run_group(&store, group, &mut durable));
            while closed.len() > kept {
                let oldest: RunId = closed.pop_front().unwrap();
                let mut tx = store.begin();
                tx.delete_run(&oldest, Keep::Nothing).unwrap();
                tx.submit(Durability::Buffered).unwrap();
            }
            if group % 50 == 0 {
                most = most.max(log_bytes(&store));
                index_most = index_most.max(store.stats().unwrap().index_bytes);
            }
            if group == groups / 4 {
                quarter = memory_bytes();
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
    let took = began.elapsed();
    most = most.max(log_bytes(&store));
    store.sync().unwrap();
    let last_bytes = log_bytes(&store);
    let stats = store.stats().unwrap();
    let index_bytes = [index_most, stats.index_bytes];
    let memory_bytes = [quarter, memory_bytes()];
    let written_bytes = stats.log_bytes() + stats.dropped_bytes + rewritten.into_inner();
    durable.sort_unstable();
    let live_bytes = live_bytes(&store);
    Done {
        live_bytes,
        most_bytes: most,
        last_bytes,
        written_bytes,
        index_bytes,
        memory_bytes,
        durable,
        took,
    }
}

/// Anonymous memory of this process; 0 where the system does not tell.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn run_group(store: &Store, group: usize, durable: &mut Vec<Duration>) -> Vec<RunId> {
    let mut tx = store.begin();
    let start = |it| tx.start(NewRun::new("shop", &format!("order-{group}-{it}"), "Order"));
    let runs: Vec<RunId> = (0..OPEN).map(start).map(Result::unwrap).collect();
    tx.submit(Durability::Buffered).unwrap();
    for _ in 0..EVENTS {
        for run in &runs {
            let mut tx = store.begin();
            tx.append(run, event(&PAYLOAD)).unwrap();
            tx.submit(Durability::Buffered).unwrap();
        }
    }
    for run in &runs {
        let mut tx = store.begin();
        tx.close_run(run, Close::completed(b"ok")).unwrap();
        let began = Instant::now();
        tx.commit().unwrap();
        durable.push(began.elapsed());
    }
    runs
}

/// The lengths of the segments' files but for the space of commits to come.
fn log_bytes(store: &Store) -> u64 {
    store.stats().unwrap().log_bytes()
}

/// The events of the runs that are kept, with the headers of their batches and commits.
fn live_bytes(store: &Store) -> u64 {
    let size = store.namespace_size("shop");
    size.bytes + size.events * 44
}

fn compact_beside(store: &Store, ended: &AtomicBool, rewritten: &AtomicU64) {
    let mut at = 0;
    while !ended.load(Ordering::SeqCst) {
        // Each time a segment's worth of commits has come.
        if store.end().as_u64() - at < 64 << 20 {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        at = store.end().as_u64();
        store.erase().unwrap();
        let done = store.compact(&Compaction::new()).unwrap();
        rewritten.fetch_add(done.written_bytes, Ordering::SeqCst);
    }
    store.erase().unwrap();
    let done = store.compact(&Compaction::new()).unwrap();
    rewritten.fetch_add(done.written_bytes, Ordering::SeqCst);
}

/// Histories of 100 events that lie between those of many others, read before and after a compaction.
fn read(many: usize) {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut tx = store.begin();
    let start = |it| tx.start(NewRun::new("shop", &format!("spread-{it}"), "Order"));
    let runs: Vec<RunId> = (0..many).map(start).map(Result::unwrap).collect();
    tx.submit(Durability::Buffered).unwrap();
    let mut text = text();
    for _ in 0..98 {
        for run in &runs {
            let payload: Vec<u8> = text.by_ref().take(100).collect();
            let mut tx = store.begin();
            tx.append(run, event(&payload)).unwrap();
            tx.submit(Durability::Buffered).unwrap();
        }
    }
    for run in &runs {
        let mut tx = store.begin();
        tx.close_run(run, Close::completed(b"ok")).unwrap();
        tx.submit(Durability::Buffered).unwrap();
    }
    // Every second run goes.
    for pair in runs.chunks(2) {
        let mut tx = store.begin();
        tx.delete_run(&pair[0], Keep::Nothing).unwrap();
        tx.submit(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    let left: Vec<RunId> = runs.iter().skip(1).step_by(2).copied().collect();
    let before = read_all(&store, &left);
    let done = store.compact(&Compaction::new()).unwrap();
    let after = read_all(&store, &left);
    assert_eq!(before.1, after.1);
    println!(
        "read 100 events, us: {:.1} before, {:.1} after {} segments were rewritten",
        before.0, after.0, done.rewritten
    );
    let done = store.compact(&Compaction::new().pack()).unwrap();
    let stats = store.stats().unwrap();
    let ratio = stats.packed_bytes as f64 / stats.unpacked_bytes.max(1) as f64;
    let packed = read_all(&store, &left);
    // Each from another block than the one before, and more blocks than are kept.
    let apart = left.len().div_ceil(24);
    let apart: Vec<RunId> =
        (0..apart).flat_map(|from| left.iter().skip(from).step_by(apart)).copied().collect();
    let cold = read_all(&store, &apart);
    assert_eq!((after.1, after.1), (packed.1, cold.1));
    println!(
        "read 100 events, us: {:.1} packed, in order; {:.1} each from another block; {} segments, ratio {ratio:.3}",
        packed.0, cold.0, done.rewritten
    );
}

/// Letters that do not compress to nothing: of a few that are drawn at random, half are as they were 64 before.
fn text() -> impl Iterator<Item = u8> {
    let (mut state, mut before) = (1u32, [b'a'; 64]);
    (0..).map(move |at: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let letter = &mut before[at % 64];
        if state >> 31 > 0 {
            *letter = b'a' + ((state >> 16) % 16) as u8;
        }
        *letter
    })
}

/// The median time for one history, and what all of them add up to.
fn read_all(store: &Store, runs: &[RunId]) -> (f64, u64) {
    let (mut times, mut sum) = (vec![], 0);
    for _ in 0..3 {
        times.clear();
        sum = 0;
        for run in runs {
            let began = Instant::now();
            for event in &store.history(run).unwrap() {
                sum += event.unwrap().payload().len() as u64;
            }
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    (at(&times, 0.5), sum)
}
