//! Bytes whose checks are right, and that no writer writes.

use kinlog::Error;

use super::support::*;
use super::tail::long;

/// Makes the check of a manifest's slot right.
fn seal_slot(slot: &mut [u8]) {
    let check = crc32fast::hash(&slot[..68]);
    slot[68..72].copy_from_slice(&check.to_le_bytes());
}

/// Makes the checks of the frame in these bytes of a segment right.
fn seal_frame(image: &mut Image, segment: usize, start: usize, end: usize) {
    let bytes = image.segment_mut(segment);
    let position = (segment * SEGMENT + start) as u64;
    let bound = [&bytes[48..64], &position.to_le_bytes(), &bytes[start + 4..start + 20]].concat();
    let check = crc32fast::hash(&bound).max(1);
    bytes[start..start + 4].copy_from_slice(&check.to_le_bytes());
    let mut trailer = crc32fast::Hasher::new_with_initial(check);
    trailer.update(&bytes[start + 20..end - 4]);
    bytes[end - 4..end].copy_from_slice(&trailer.finalize().max(1).to_le_bytes());
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
fn a_store_in_its_last_epoch_is_read_and_not_written() {
    let built = long();
    let mut image = built.closed.clone();
    for slot in image.manifest_mut().chunks_mut(4096) {
        slot[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        seal_slot(slot);
    }
    let dir = directory();
    image.write(dir.path());
    let store = options().read_only(true).open(dir.path()).unwrap();
    assert_eq!(digest(&store), built.digest);
    match options().open(dir.path()).unwrap_err() {
        Error::Corrupt(corruption) => {
            assert_eq!(corruption.path, dir.path().join("MANIFEST"));
            assert_eq!((corruption.offset, corruption.found), (44, u64::from(u32::MAX)));
        }
        other => panic!("{other}"),
    }
    Image::read(dir.path()).assert_same(&image, "refused");
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
