//! What was removed from the log at an opening is gone from the device, and its copies are there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinlog::{Options, Store, Verdict};
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

const STORE: &str = "/data/store";
const PAGE: usize = 4096;

fn open(disk: &SimulatedDisk) -> Store {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open(STORE).unwrap()
}

fn segment(number: usize) -> PathBuf {
    Path::new(STORE).join(format!("log/{number:08}.seg"))
}

/// A store with a commit, the next segment prepared, and where the log ends.
fn prepared() -> (Content, usize) {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk);
    let mut tx = store.begin();
    tx.put("rows", b"kept", &[1; 40_000]).unwrap();
    tx.commit().unwrap();
    let end = store.end().as_u64() as usize;
    store.shut_down().unwrap();
    let content = disk.content();
    assert!(content.file(&segment(1)).is_some() && content.file(&segment(2)).is_none());
    (content, end)
}

/// Bytes of a group of which nothing verifies, in the places that they have.
fn with_remains(mut content: Content, places: &[(usize, usize, usize)]) -> Content {
    for (number, start, len) in places {
        let mut bytes = content.file(&segment(*number)).unwrap().to_vec();
        bytes[*start..start + len].fill(0x5a);
        content.put_file(&segment(*number), bytes);
    }
    content
}

#[test]
fn remains_in_two_segments_are_copied_and_zeroed_in_both_and_stay_so_without_power() {
    let (content, end) = prepared();
    // A piece begins where the log could go on, and ends with its last byte that is not zero.
    let places = [(0, end + 100, 3_000), (1, PAGE + 500, 9_000)];
    let content = with_remains(content, &places);
    let disk = SimulatedDisk::with(content.clone(), 2);
    let store = open(&disk);
    let report = store.report().clone();
    assert_eq!((report.verdict, store.snapshot().rows("rows", ..).count()), (Verdict::Torn, 1));
    assert_eq!(report.quarantined.len(), 2);
    assert_eq!(report.removed_bytes, 3_100 + 9_500);
    // The power goes before anything else is synced.
    let left = disk.content().after_power_loss(Survivors::Nothing);
    disk.cut_power();
    drop(store);
    for (number, from) in [(0, end), (1, PAGE)] {
        let bytes = left.file(&segment(number)).unwrap();
        assert!(bytes[from..].iter().all(|byte| *byte == 0), "segment {number}");
        assert!(bytes[..from] == content.file(&segment(number)).unwrap()[..from]);
    }
    for (copy, (number, start, len)) in report.quarantined.iter().zip(places) {
        let original = content.file(&segment(number)).unwrap();
        let from = if number == 0 { end } else { PAGE };
        assert_eq!(left.file(copy), Some(&original[from..start + len]), "segment {number}");
    }
    let store = open(&SimulatedDisk::with(left, 3));
    assert_eq!((store.report().verdict, store.report().removed_bytes), (Verdict::Unclosed, 0));
}

/// Bytes behind a seal, where nothing is ever written, in a segment that is full.
#[test]
fn remains_behind_a_seal_are_zeroed_together_with_those_at_the_end() {
    let (content, _) = prepared();
    let disk = SimulatedDisk::with(content, 4);
    let store = open(&disk);
    let mut tx = store.begin();
    tx.put("rows", b"next", &[1; 30_000]).unwrap();
    tx.commit().unwrap();
    let end = store.end().as_u64() as usize % (64 << 10);
    store.shut_down().unwrap();
    let content = with_remains(disk.content(), &[(0, 65_000, 500), (1, end + 8, 700)]);
    let disk = SimulatedDisk::with(content, 5);
    let store = open(&disk);
    assert_eq!(store.report().quarantined.len(), 2);
    let left = disk.content().after_power_loss(Survivors::Nothing);
    disk.cut_power();
    drop(store);
    assert!(left.file(&segment(0)).unwrap()[65_000..].iter().all(|byte| *byte == 0));
    assert!(left.file(&segment(1)).unwrap()[end..].iter().all(|byte| *byte == 0));
    assert_eq!(open(&SimulatedDisk::with(left, 6)).report().verdict, Verdict::Unclosed);
}
