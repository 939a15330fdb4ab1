//! Backups: a whole store or none, of exactly what was published, beside whoever writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[path = "backup/base.rs"]
mod base;
#[path = "backup/cut.rs"]
mod cut;
#[path = "backup/refused.rs"]
mod refused;
#[allow(dead_code)]
#[path = "verdict/support.rs"]
mod support;
#[path = "backup/whole.rs"]
mod whole;

use std::path::Path;

use kinlog::{Durability, Position, Store, Verdict};
use kinlog_testing::files::{PAGE, SEGMENT, copy_files, segment_name, small_segments};

use support::{Builder, Digest, digest};

/// Some commits that fill segments.
fn fill(builder: &Builder, commits: usize) {
    let run = builder.start("filled");
    for i in 0..commits {
        builder.append(&run, &vec![i as u8; 9000 + i], Durability::Buffered);
    }
}

/// A new run, and some commits that do.
fn fill_more(builder: &Builder) {
    let run = builder.start(&format!("from {}", builder.store.end()));
    for _ in 0..20 {
        builder.append(&run, &[2; 8000], Durability::Sync);
    }
}

/// Where a commit begins, of a line of a digest.
fn position(line: &str) -> u64 {
    let end = line.find(' ').unwrap_or(line.len());
    line[1..end].parse().unwrap()
}

/// The commits before `end`.
fn upto(commits: &Digest, end: Position) -> Digest {
    commits.iter().filter(|line| position(line) < end.as_u64()).cloned().collect()
}

/// The copy opens as a store that was closed in order and holds exactly these commits, to the
/// byte where it should.
fn check(copy: &Path, expected: &Digest) {
    let store = small_segments().read_only(true).open(copy).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert!(digest(&store) == *expected, "{}", copy.display());
    let report = store.verify(|_| {}).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.commits, report.unfinished_bytes), (expected.len() as u64, 0));
    assert_eq!((&*report.unknown, &*report.quarantined), (&[][..], &[][..]));
}

/// A commit that was not there before.
fn commit(store: &Store) {
    let mut tx = store.begin();
    tx.put("after", b"k", &[7; 100]).unwrap();
    tx.commit().unwrap();
}
