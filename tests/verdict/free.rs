//! A byte that is not zero in a segment which is prepared and not begun: it comes while the store is open, so that no opening
//! has found it, and the log goes on through it.

use std::fs;
use std::os::unix::fs::FileExt;

use kinlog::{Durability, Verdict};
use kinlog_testing::files::*;

use super::support::*;

const STRAY: u8 = 0xa5;
/// Of the events that are appended once the byte is there: the first one goes into the segment that the log is in, the next one
/// begins the other.
const EVENTS: [usize; 4] = [3000, 30_000, 700, 40];

/// A store in whose first segment the log is, and the next one is prepared.
fn prepared() -> (Builder, kinlog::RunId) {
    let builder = Builder::new();
    let run = builder.start("one");
    builder.append(&run, &[0x5a; 40_000], Durability::Sync);
    let next = builder.dir.path().join(segment_name(1));
    while !next.exists() {
        std::thread::yield_now();
    }
    (builder, run)
}

fn put(builder: &Builder, offset: usize) {
    let path = builder.dir.path().join(segment_name(1));
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[STRAY], offset as u64).unwrap();
}

/// The frames in the second segment of such a store.
fn frames() -> Vec<Place> {
    let (builder, run) = prepared();
    EVENTS.iter().for_each(|len| builder.append(&run, &vec![0x5a; *len], Durability::Sync));
    let frames: Vec<_> =
        places(&builder.killed()).into_iter().filter(|place| place.segment == 1).collect();
    assert_eq!((frames.len(), frames[0].start), (EVENTS.len() - 1, PAGE));
    frames
}

/// Each field of each frame, the end of each, and what is behind.
fn offsets(frames: &[Place]) -> Vec<usize> {
    let of = |place: &Place| {
        let Place { start, end, .. } = *place;
        [
            start,
            start + 3,
            start + 4,
            start + 8,
            start + 12,
            start + 16,
            start + 20,
            end - 4,
            end - 1,
        ]
    };
    let end = frames.last().unwrap().end;
    let behind = [end, end + 3, end + 4, end + 100, SEGMENT - 24, SEGMENT - 1];
    frames.iter().flat_map(of).chain(behind).collect()
}

/// What the next opening must say of a log that ends at `end` in a segment of which nothing else was written.
fn verdict(offset: usize, end: usize) -> Verdict {
    match offset {
        // A commit was written over it.
        _ if offset < end => Verdict::Unclosed,
        // Where the check of the next frame would be: nothing proves that there was none.
        _ if offset < end + 4 => Verdict::Ambiguous,
        _ => Verdict::Torn,
    }
}

#[test]
fn a_byte_in_a_segment_that_is_not_begun_is_no_data_wherever_the_log_has_come_to() {
    for offset in offsets(&frames()) {
        let (builder, run) = prepared();
        put(&builder, offset);
        let mut ends = vec![];
        for (nth, len) in (0..).zip(EVENTS) {
            builder.append(&run, &vec![0x5a; len], Durability::Sync);
            let what = format!("a byte at {offset}, {nth} events later");
            let here = digest(&builder.store);
            assert_eq!(here.len(), nth + 3, "{what}");
            let beside = small_segments().read_only(true).open(builder.dir.path()).unwrap();
            assert_eq!(digest(&beside), here, "{what}: beside the writer");
            let (segment, end) = place_of(&builder);
            assert_eq!(segment, usize::from(nth > 0), "{what}");
            let expected = if nth == 0 { Verdict::Torn } else { verdict(offset, end) };
            let (report, found) = examine(&builder.killed(), &what).opened(&what);
            assert_eq!((report.verdict, found), (expected, here), "{what}");
            ends.push(end);
        }
        let what = format!("a byte at {offset}, closed");
        let built = builder.finish();
        let (report, found) = examine(&built.closed, &what).opened(&what);
        let is_left = offset >= *ends.last().unwrap();
        let expected = if is_left { Verdict::Torn } else { Verdict::Clean };
        assert_eq!((report.verdict, found), (expected, built.digest), "{what}");
    }
}

/// The segment in which the log ends, and where.
fn place_of(builder: &Builder) -> (usize, usize) {
    let end = builder.store.end().as_u64() as usize;
    (end / SEGMENT, end % SEGMENT)
}

/// The power goes while a commit is written: sectors of it are not, and have the byte instead of zeros.
#[test]
fn a_commit_that_is_cut_short_where_a_byte_was_is_no_commit() {
    const SECTOR: usize = 512;
    let frames = frames();
    let (mut torn, mut ambiguous) = (0, 0);
    for offset in offsets(&frames) {
        let (builder, run) = prepared();
        put(&builder, offset);
        let (mut before, mut digest_before) = (builder.killed(), digest(&builder.store));
        let mut from = place_of(&builder);
        for len in EVENTS {
            builder.append(&run, &vec![0x5a; len], Durability::Sync);
            let (after, digest_after) = (builder.killed(), digest(&builder.store));
            let (segment, end) = place_of(&builder);
            let start = if segment == from.0 { from.1 } else { PAGE };
            from = (segment, end);
            let written = start..end;
            let sectors =
                (written.start / SECTOR..=(written.end - 1) / SECTOR).map(|it| it * SECTOR);
            // The first ones, the last ones, and that with the byte.
            let all: Vec<_> = sectors.collect();
            let of_byte = all.iter().find(|at| (**at..**at + SECTOR).contains(&offset));
            let ends = [all.first(), all.last(), of_byte];
            for lost in ends.into_iter().flatten().filter(|_| segment == 1) {
                let mut image = after.clone();
                let sector = *lost..lost + SECTOR;
                let old = before.segment(1)[sector.clone()].to_vec();
                image.segment_mut(1)[sector].copy_from_slice(&old);
                if image.segment(1) == before.segment(1) {
                    // Nothing of it was written.
                    continue;
                }
                let what = format!("a byte at {offset}, {len} B without the sector at {lost}");
                let (report, found) = examine(&image, &what).opened(&what);
                assert!(found == digest_before, "{what}: {:?}", report.verdict);
                match report.verdict {
                    Verdict::Torn => torn += 1,
                    Verdict::Ambiguous => ambiguous += 1,
                    other => panic!("{what}: {other:?}"),
                }
            }
            (before, digest_before) = (after, digest_after);
        }
    }
    assert!(torn > 50 && ambiguous > 10, "{torn} {ambiguous}");
}
