//! Bytes whose checks are right, and that no writer writes.

use kinlog::{Error, Verdict};
use kinlog_testing::files::*;

use super::support::*;
use super::tail::long;

/// Makes the check of a manifest's slot right.
fn seal_slot(slot: &mut [u8]) {
    let check = crc32fast::hash(&slot[..68]);
    slot[68..72].copy_from_slice(&check.to_le_bytes());
}

#[test]
fn a_seal_that_holds_something_seals_nothing() {
    let built = long();
    let seal = *places(&built.closed).iter().find(|place| place.seal).unwrap();
    for (len, batches) in [(4, 0), (0, 1), (0, 0)] {
        let mut image = built.closed.clone();
        let bytes = image.segment_mut(seal.segment);
        bytes[seal.start + 4] = len;
        bytes[seal.start + 18] = batches;
        let end = seal.end + usize::from(len);
        bytes[seal.end - 4..end].fill(7);
        seal_frame(&mut image, seal.segment, seal.start, end);
        let what = format!("a seal of {len} B and {batches} batches");
        match examine(&image, &what) {
            Outcome::Opened(_, found) => {
                assert_eq!((len, batches, found), (0, 0, built.digest.clone()), "{what}");
            }
            Outcome::Refused(corruption) => {
                assert_eq!(corruption.offset, seal.start as u64, "{what}: {corruption}");
                assert!((len, batches) != (0, 0), "{what}");
            }
            Outcome::Failed(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn a_commit_in_the_room_for_a_seal_is_overlong() {
    let (built, last) = filled();
    for more in [4, 20, OVERHEAD] {
        let what = format!("{more} B of the room for a seal");
        let mut image = built.closed.clone();
        stretch(&mut image, last, more);
        let corruption = examine(&image, &what).refused(&what);
        assert_eq!(corruption.offset, last.start as u64, "{what}: {corruption}");
        assert!(corruption.what.contains("no room for the seal"), "{what}: {corruption}");
        // Where nothing vouches for it, it is put into quarantine, and nothing else is changed.
        let mut image = built.killed.clone();
        stretch(&mut image, last, more);
        let (report, found) = examine(&image, &what).opened(&what);
        assert_eq!(report.verdict, Verdict::Ambiguous, "{what}");
        assert_eq!(found, built.digest[..1], "{what}");
        assert_eq!(report.removed_bytes, (last.end + more - last.start) as u64, "{what}");
    }
}

#[test]
fn a_commit_that_grew_into_the_room_for_a_seal_is_found_by_verify_and_not_salvaged() {
    let (built, last) = filled();
    let dir = directory();
    built.closed.write_killed(dir.path());
    let store = small_segments().read_only(true).open(dir.path()).unwrap();
    store.verify(|_| {}).unwrap();
    let mut image = built.closed.clone();
    stretch(&mut image, last, OVERHEAD);
    image.write_killed(dir.path());
    match store.verify(|_| {}) {
        Err(Error::Corrupt(corruption)) => {
            assert_eq!(corruption.offset, last.start as u64, "{corruption}");
        }
        other => panic!("{other:?}"),
    }
    drop(store);
    let copy = directory();
    let copy = copy.path().join("copy");
    let report = kinlog::salvage::salvage(dir.path(), &copy, &small_segments(), |_| ()).unwrap();
    assert!(!report.is_complete(), "{report:?}");
    assert_eq!(report.lost[0].from, last.start as u64, "{report:?}");
    assert_eq!(digest(&kinlog::Store::open(&copy).unwrap()), built.digest[..1]);
}

#[test]
fn a_store_in_its_last_epoch_is_read_and_not_written() {
    let built = long();
    let mut image = built.closed.clone();
    for slot in image.manifest_mut().chunks_mut(4096) {
        slot[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        seal_slot(slot);
    }
    let dir = directory();
    image.write_killed(dir.path());
    let store = small_segments().read_only(true).open(dir.path()).unwrap();
    assert_eq!(digest(&store), built.digest);
    match small_segments().open(dir.path()).unwrap_err() {
        Error::Corrupt(corruption) => {
            assert_eq!(corruption.path, dir.path().join("MANIFEST"));
            assert_eq!((corruption.offset, corruption.found), (44, u64::from(u32::MAX)));
        }
        other => panic!("{other}"),
    }
    Image::read_but_lock(dir.path()).assert_same(&image, "refused");
}

/// Found by fuzzing: events without a record were not held against the rules, closing ones neither.
#[test]
fn a_run_does_not_continue_as_new_by_an_event_without_a_record() {
    let builder = Builder::new();
    let run = builder.start("one");
    builder.append(&run, b"", kinlog::Durability::Sync);
    let killed = builder.killed();
    let last = *places(&killed).last().unwrap();
    // The frame's header, then the batch's, then the kind of its first event.
    let kind = last.start + 20 + 20;
    for (number, continues) in [(1024u16, false), (2, false), (28, true)] {
        let mut image = killed.clone();
        image.segment_mut(last.segment)[kind..kind + 2].copy_from_slice(&number.to_le_bytes());
        seal_frame(&mut image, last.segment, last.start, last.end);
        match examine(&image, "an event of another kind") {
            Outcome::Opened(..) => assert!(!continues, "kind {number}"),
            Outcome::Refused(corruption) => {
                assert!(continues, "kind {number}: {corruption}");
                assert_eq!(corruption.offset, last.start as u64);
            }
            Outcome::Failed(error) => panic!("kind {number}: {error}"),
        }
    }
}
