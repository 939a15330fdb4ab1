//! Whoever reads a store comes to the same verdict on it: a writer, a reader, `verify` of a store that
//! was open before, salvage, and the reader in Python.

use std::collections::BTreeMap;
use std::path::Path;

use kinlog::error::Corruption;
use kinlog::salvage::{LossStatus, ManifestState, SalvageReport, salvage};
use kinlog::{Durability, Error, Options, Store, Verdict};
use kinlog_testing::files::*;

use super::agree_on_verdict;
use super::support::*;

/// What a store is found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// As it should be.
    Sound,
    /// With something in it that the next writer repairs, and nothing missing.
    Repairable,
    /// The last commits may be missing.
    InDoubt,
    Refused,
}

/// An image, and what to do to it.
type Case = (&'static str, Found, fn(&mut Image));

const SLOT: usize = PAGE;
/// Where the first event of a frame lies, behind the headers of the frame and the batch.
const EVENT: usize = 40;

/// Writes the check of a page, the header of a segment or a slot of the manifest.
fn seal_page(page: &mut [u8]) {
    let check = crc32fast::hash(&page[..68]);
    page[68..72].copy_from_slice(&check.to_le_bytes());
}

/// The slot that does not count, and the one that does.
fn slots(manifest: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let (first, second) = manifest.split_at_mut(SLOT);
    if first[48..56] < second[48..56] { (first, second) } else { (second, first) }
}

fn seal_end(image: &Image) -> usize {
    places(image).iter().find(|place| place.seal).unwrap().end
}

const CASES: [Case; 30] = [
    ("nothing", Found::Sound, |_| ()),
    ("a bit in the slot that counts", Found::Repairable, |image| {
        slots(image.manifest_mut()).1[56] ^= 4;
    }),
    ("a bit in the other slot", Found::Repairable, |image| {
        slots(image.manifest_mut()).0[56] ^= 4;
    }),
    ("a bit behind the fields of a slot", Found::Repairable, |image| {
        slots(image.manifest_mut()).0[4000] ^= 4;
    }),
    ("a slot of zeros", Found::Repairable, |image| slots(image.manifest_mut()).0.fill(0)),
    ("a slot of another version", Found::Repairable, |image| {
        let slot = slots(image.manifest_mut()).0;
        slot[8] = 9;
        seal_page(slot);
    }),
    ("a slot of version 2", Found::Sound, |image| {
        let slot = slots(image.manifest_mut()).0;
        slot[8] = 2;
        seal_page(slot);
    }),
    ("a segment of version 2", Found::Sound, |image| {
        let page = &mut image.segment_mut(1)[..PAGE];
        page[8] = 2;
        page[64..68].fill(0);
        seal_page(page);
    }),
    ("a slot of segments that cannot be", Found::Repairable, |image| {
        let slot = slots(image.manifest_mut()).0;
        slot[40] = 1;
        seal_page(slot);
    }),
    ("a slot in the other one's place", Found::Repairable, |image| {
        let (other, newest) = slots(image.manifest_mut());
        other.copy_from_slice(newest);
    }),
    ("the slots have changed places", Found::Refused, |image| {
        image.manifest_mut().rotate_left(SLOT);
    }),
    ("a slot of another store", Found::Refused, |image| {
        let slot = slots(image.manifest_mut()).0;
        slot[24] ^= 1;
        seal_page(slot);
    }),
    ("both slots damaged", Found::Refused, |image| {
        image.manifest_mut()[60] ^= 1;
        image.manifest_mut()[SLOT + 60] ^= 1;
    }),
    ("a manifest of one slot", Found::Refused, |image| image.manifest_mut().truncate(SLOT)),
    ("a manifest with a byte more", Found::Refused, |image| image.manifest_mut().push(0)),
    ("a segment with a byte more", Found::Refused, |image| image.segment_mut(0).push(0)),
    ("a bit in a segment's header", Found::Refused, |image| image.segment_mut(1)[50] ^= 1),
    ("a bit behind the fields of a segment's header", Found::Refused, |image| {
        image.segment_mut(0)[4000] ^= 1;
    }),
    ("a segment of a later epoch", Found::Refused, |image| {
        let page = &mut image.segment_mut(2)[..PAGE];
        page[44] = 9;
        seal_page(page);
    }),
    ("a segment is missing", Found::Refused, |image| drop(image.0.remove(&segment_name(0)))),
    ("a file with a zero more in its name than a segment", Found::Sound, |image| {
        let spare = image.segment(2).to_vec();
        image.0.insert("log/000000002.seg".into(), spare);
    }),
    ("a segment with a zero more in its name", Found::Refused, |image| {
        let segment = image.0.remove(&segment_name(1)).unwrap();
        image.0.insert("log/000000001.seg".into(), segment);
    }),
    ("an event of kind 0", Found::Refused, |image| {
        let last = *places(image).last().unwrap();
        image.segment_mut(1)[last.start + EVENT] = 0;
        seal_frame(image, 1, last.start, last.end);
    }),
    ("an event of version 0 with a head", Found::Refused, |image| {
        let last = *places(image).last().unwrap();
        image.segment_mut(1)[last.start + EVENT + 3] = 1;
        seal_frame(image, 1, last.start, last.end);
    }),
    ("a byte behind a seal", Found::Repairable, |image| {
        let end = seal_end(image);
        image.segment_mut(0)[end] = 1;
    }),
    ("the last byte behind a seal", Found::Repairable, |image| {
        image.segment_mut(0)[SEGMENT - 1] = 1;
    }),
    ("a byte behind the last commit", Found::Repairable, |image| {
        let end = places(image).last().unwrap().end;
        image.segment_mut(1)[end] = 1;
    }),
    ("a byte in a segment without commits", Found::Repairable, |image| {
        image.segment_mut(2)[SEGMENT - 1] = 1;
    }),
    ("a bit in a seal", Found::Refused, |image| {
        let end = seal_end(image);
        image.segment_mut(0)[end - 8] ^= 1;
    }),
    ("a bit in the last commit", Found::Refused, |image| {
        let end = places(image).last().unwrap().end;
        image.segment_mut(1)[end - 8] ^= 1;
    }),
];

/// Lets a segment say that its file has so many bytes.
fn claim_bytes(image: &mut Image, segment: usize, bytes: usize) {
    let page = &mut image.segment_mut(segment)[..PAGE];
    page[64..68].copy_from_slice(&u32::try_from(bytes).unwrap().to_le_bytes());
    seal_page(page);
}

/// Of a store with segments of one, two and four times [`SEGMENT`] bytes, which is the most.
const GROWN: [Case; 15] = [
    ("nothing", Found::Sound, |_| ()),
    ("a segment that says it has no bytes", Found::Refused, |image| claim_bytes(image, 1, 0)),
    ("a segment that says it has a header alone", Found::Refused, |image| {
        claim_bytes(image, 1, PAGE);
        image.segment_mut(1).truncate(PAGE);
    }),
    ("a segment that says it ends within a page", Found::Refused, |image| {
        claim_bytes(image, 1, 4 * SEGMENT + 4);
        image.segment_mut(1).extend([0; 4]);
    }),
    ("a segment that says it is longer than any", Found::Refused, |image| {
        claim_bytes(image, 1, 16 * SEGMENT);
        image.segment_mut(1).resize(16 * SEGMENT, 0);
    }),
    ("a segment that says it is longer than it is", Found::Refused, |image| {
        claim_bytes(image, 1, 8 * SEGMENT);
    }),
    ("a segment that says it is shorter than it is", Found::Refused, |image| {
        claim_bytes(image, 1, SEGMENT);
    }),
    ("a segment that ends before its last commit", Found::Refused, |image| {
        claim_bytes(image, 1, SEGMENT);
        image.segment_mut(1).truncate(SEGMENT);
    }),
    ("a segment cut short", Found::Refused, |image| image.segment_mut(1).truncate(SEGMENT)),
    ("a full segment cut by a page", Found::Refused, |image| {
        image.segment_mut(0).truncate(SEGMENT - PAGE);
    }),
    ("a segment with a page more", Found::Refused, |image| {
        image.segment_mut(1).extend([0; PAGE]);
    }),
    ("a segment of version 2 that is short", Found::Refused, |image| {
        let page = &mut image.segment_mut(1)[..PAGE];
        page[8] = 2;
        seal_page(page);
    }),
    ("a mark behind the end of a short segment", Found::Refused, |image| {
        for slot in image.manifest_mut().chunks_mut(SLOT) {
            slot[56..64].copy_from_slice(&(14 * SEGMENT as u64).to_le_bytes());
            seal_page(slot);
        }
    }),
    ("the last byte of a short segment behind its seal", Found::Repairable, |image| {
        image.segment_mut(0)[SEGMENT - 1] = 1;
    }),
    ("the last byte of the last segment", Found::Repairable, |image| {
        image.segment_mut(2)[8 * SEGMENT - 1] = 1;
    }),
];

/// Of a store that was killed, where nothing vouches for the last commit.
const KILLED: [Case; 4] = [
    ("nothing", Found::Sound, |_| ()),
    ("a byte behind a seal", Found::Repairable, |image| {
        image.segment_mut(0)[SEGMENT - 1] = 1;
    }),
    ("a byte behind the last commit", Found::InDoubt, |image| {
        let end = places(image).last().unwrap().end;
        image.segment_mut(1)[end] = 1;
    }),
    ("bytes behind a seal and behind the last commit", Found::InDoubt, |image| {
        let end = places(image).last().unwrap().end;
        image.segment_mut(0)[SEGMENT - 1] = 1;
        image.segment_mut(1)[end] = 1;
    }),
];

/// Two segments with commits and one without; the last commit is in a group of its own.
fn built(builder: Builder, lengths: &[usize]) -> Built {
    let run = builder.start("one");
    for len in lengths {
        builder.append(&run, &vec![5; *len], Durability::Sync);
    }
    while !builder.dir.path().join(segment_name(2)).exists() {
        std::thread::yield_now();
    }
    builder.finish()
}

/// What opening came to, and what it refuses.
fn opened(opened: Result<Store, Error>) -> (Found, Option<Corruption>) {
    match opened {
        Ok(store) => {
            let report = store.report();
            let repairs = report.manifest_damaged || report.removed_bytes > 0;
            let found = match report.verdict {
                Verdict::Ambiguous => Found::InDoubt,
                _ if repairs => Found::Repairable,
                _ => Found::Sound,
            };
            (found, None)
        }
        Err(Error::Corrupt(corruption)) => (Found::Refused, Some(*corruption)),
        Err(error) => panic!("{error}"),
    }
}

fn verified(store: &Store) -> (Found, Option<Corruption>) {
    match store.verify(|_| ()) {
        Ok(report) => {
            let repairs = report.manifest_damaged || report.unfinished_bytes > 0;
            let found = match report.is_sound() {
                false => Found::InDoubt,
                true if repairs => Found::Repairable,
                true => Found::Sound,
            };
            (found, None)
        }
        Err(Error::Corrupt(corruption)) => (Found::Refused, Some(*corruption)),
        Err(error) => panic!("{error}"),
    }
}

/// Salvage refuses next to nothing: whether its report fits.
fn salvaged(report: &SalvageReport, found: Found) -> bool {
    let perfect = report.manifest == ManifestState::Whole
        && report.files.is_empty()
        && report.lost.is_empty()
        && report.missing_segments.is_empty();
    let doubtful = report.lost.iter().any(|lost| lost.status == LossStatus::Unknown);
    match found {
        Found::Sound => perfect && report.is_complete(),
        Found::Repairable => !perfect && report.is_complete(),
        Found::InDoubt => doubtful && !report.is_complete(),
        Found::Refused => !perfect,
    }
}

fn examine(image: &Image, (what, expected, change): Case) {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    let lay = |path: &Path, image: &Image| {
        std::fs::create_dir_all(path).unwrap();
        image.write_killed(path);
    };
    let mut changed = image.clone();
    change(&mut changed);

    lay(&at("open"), image);
    let before = small_segments().read_only(true).open(at("open")).unwrap();
    assert_eq!(verified(&before), (Found::Sound, None), "{what}");
    let missing = image.0.keys().filter(|name| !changed.0.contains_key(*name));
    missing.for_each(|name| std::fs::remove_file(at("open").join(name)).unwrap());
    lay(&at("open"), &changed);
    // As `verify` does, all of the log.
    let all = small_segments().check_log(true);
    let read = opened(all.clone().read_only(true).open(at("open")));
    assert_eq!(read.0, expected, "{what}: to read: {:?}", read.1);
    let (found, corruption) = verified(&before);
    assert_eq!(found, expected, "{what}: verify: {corruption:?}");
    let place = |found: Option<Corruption>| found.map(|found| (found.path, found.offset));
    assert_eq!(place(corruption), place(read.1), "{what}: verify says where");
    drop(before);

    let report = salvage(at("open"), at("salvaged"), &small_segments(), |_| ()).unwrap();
    assert!(salvaged(&report, expected), "{what}: salvage: {report:?}");
    drop(agree_on_verdict(&at("open")));

    let write = opened(all.open(at("open")));
    assert_eq!(write.0, expected, "{what}: to write: {:?}", write.1);
    if expected != Found::Refused {
        assert_eq!(opened(small_segments().open(at("open"))).0, Found::Sound, "{what}: repaired");
    }
}

#[test]
fn whoever_reads_a_store_comes_to_the_same_verdict() {
    let built = built(Builder::new(), &[60, 59_000, 100, 200, 34_000, 30]);
    CASES.into_iter().for_each(|case| examine(&built.closed, case));
    KILLED.into_iter().for_each(|case| examine(&built.killed, case));
    examine(&filled().0.closed, OVERLONG);
}

const OVERLONG: Case = ("a commit in the room for a seal", Found::Refused, |image| {
    let last = *places(image).last().unwrap();
    stretch(image, last, OVERHEAD);
});

/// A store whose segments grow, to eight times [`SEGMENT`] bytes.
fn growing() -> Builder {
    let options = Options::new().segment_bytes(8 * SEGMENT as u32);
    Builder::with(&options, &Image(BTreeMap::new()))
}

#[test]
fn whoever_reads_a_store_whose_segments_grow_comes_to_the_same_verdict() {
    let built = built(growing(), &[60, 59_000, 100, 60_000, 200, 34_000, 30]);
    let lengths = [0, 1, 2].map(|number| built.closed.segment(number).len());
    assert_eq!(lengths, [SEGMENT, 4 * SEGMENT, 8 * SEGMENT]);
    GROWN.into_iter().for_each(|case| examine(&built.closed, case));
    // A short segment ends where its file does, not where the next one's positions begin.
    examine(&filled_by(growing()).0.closed, OVERLONG);
}
