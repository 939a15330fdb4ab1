//! What other engines were seen to do after a crash, as tests that kinlog passes: new writes lost
//! behind a torn tail, synced entries cut away for one flipped bit, a store that is refused for ever
//! after a second crash, a hole in what was never synced taken for damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinlog::{
    Durability, Error, EventKind, NewEvent, NewRun, Options, Result, RunId, Store, Verdict,
};
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

const STORE: &str = "/data/store";

fn open(disk: &SimulatedDisk) -> Result<Store> {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open(STORE)
}

fn segment() -> PathBuf {
    Path::new(STORE).join("log/00000000.seg")
}

/// Appends an event of `len` bytes; where its commit begins in the segment.
fn append(store: &Store, run: &RunId, len: usize, durability: Durability) -> usize {
    let mut tx = store.begin();
    tx.append(run, NewEvent::opaque(EventKind::MARKER_RECORDED, &vec![3; len])).unwrap();
    tx.commit_with(durability).unwrap().position().as_u64() as usize
}

/// A store with a run of five synced events, its writer killed.
fn five() -> (Content, RunId, Vec<usize>) {
    let disk = SimulatedDisk::new(5);
    let store = open(&disk).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "w", "T")).unwrap();
    let mut places = vec![tx.commit().unwrap().position().as_u64() as usize];
    places.extend((0..4).map(|_| append(&store, &run, 100, Durability::Sync)));
    disk.cut_power();
    drop(store);
    (disk.content(), run, places)
}

fn end_of(content: &Content) -> usize {
    let bytes = content.file(&segment()).unwrap();
    bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count()
}

fn edit(content: &mut Content, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = content.file(&segment()).unwrap().to_vec();
    change(&mut bytes);
    content.put_file(&segment(), bytes);
}

fn len(store: &Store, run: &RunId) -> u32 {
    store.history(run).unwrap().len()
}

/// The writer goes on behind what it removed, and what it then acknowledges stays.
#[test]
fn new_writes_behind_a_torn_tail_stay() {
    for torn in [&[0xa5; 60][..], &[0; 40], &[1], &[0, 0, 0, 0, 9]] {
        let (mut content, run, _) = five();
        let end = end_of(&content).next_multiple_of(4);
        edit(&mut content, |bytes| bytes[end..end + torn.len()].copy_from_slice(torn));
        let disk = SimulatedDisk::with(content, 1);
        let store = open(&disk).unwrap();
        assert_eq!(len(&store, &run), 5);
        for _ in 0..5 {
            append(&store, &run, 50, Durability::Sync);
        }
        disk.cut_power();
        drop(store);
        let disk = SimulatedDisk::with(disk.content().after_power_loss(Survivors::Nothing), 2);
        let store = open(&disk).unwrap();
        assert_eq!(len(&store, &run), 10, "{torn:?}");
        store.verify(|_| {}).unwrap();
    }
}

/// One flipped bit in what was acknowledged: refused with the place, and not a byte is changed.
#[test]
fn one_bit_cuts_nothing_away() {
    let (content, _, places) = five();
    let end = end_of(&content);
    for offset in places[0]..end {
        let mut content = content.clone();
        edit(&mut content, |bytes| bytes[offset] ^= 0x10);
        let disk = SimulatedDisk::with(content.clone(), 1);
        let Err(Error::Corrupt(corruption)) = open(&disk) else {
            panic!("a flipped bit at {offset} was let through");
        };
        assert_eq!(corruption.path, segment());
        let frame = places.iter().rfind(|place| **place <= offset).unwrap();
        assert_eq!(corruption.offset, *frame as u64, "the frame with the bit at {offset}");
        assert_eq!(disk.content().file(&segment()), content.file(&segment()), "{offset}");
    }
}

/// A crash after healing, and another one after that, with torn tails again.
#[test]
fn a_second_and_a_third_crash_refuse_nothing() {
    let (mut content, run, _) = five();
    for crash in 0..3u32 {
        let end = end_of(&content).next_multiple_of(4);
        edit(&mut content, |bytes| bytes[end..end + 60].fill(0xa5));
        let disk = SimulatedDisk::with(content, 1);
        let store = open(&disk).unwrap();
        assert!(matches!(store.report().verdict, Verdict::Torn | Verdict::Ambiguous));
        assert_eq!(len(&store, &run), 5 + crash);
        append(&store, &run, 50, Durability::Sync);
        disk.cut_power();
        drop(store);
        content = disk.content().after_power_loss(Survivors::Nothing);
    }
    let disk = SimulatedDisk::with(content, 1);
    let store = open(&disk).unwrap();
    assert_eq!(len(&store, &run), 8);
    assert_eq!(store.report().verdict, Verdict::Unclosed);
}

/// Pages that were never synced reach the device in any order: a page is missing, a later one is
/// there. Nothing that was acknowledged as synced is lost, so nothing is refused.
#[test]
fn a_hole_in_what_was_never_synced_is_no_damage() {
    let (content, run, _) = five();
    let disk = SimulatedDisk::with(content, 1);
    let store = open(&disk).unwrap();
    let places: Vec<usize> =
        (0..30).map(|_| append(&store, &run, 1000, Durability::Buffered)).collect();
    disk.cut_power();
    drop(store);
    let lost = disk.content().after_power_loss(Survivors::Nothing);
    let written = disk.content();
    let (first, last) = (places[0] / 4096, places[29] / 4096);
    assert!(last > first + 4);
    for hole in first..=last {
        let mut content = lost.clone();
        let seen = written.file(&segment()).unwrap();
        edit(&mut content, |bytes| {
            bytes[first * 4096..].copy_from_slice(&seen[first * 4096..]);
            let zeros = (hole * 4096).max(places[0])..(hole + 1) * 4096;
            bytes[zeros].fill(0);
        });
        let disk = SimulatedDisk::with(content, 2);
        let store = open(&disk).unwrap_or_else(|error| panic!("a hole in page {hole}: {error}"));
        assert!(len(&store, &run) >= 5);
        append(&store, &run, 10, Durability::Sync);
        store.verify(|_| {}).unwrap();
    }
}
