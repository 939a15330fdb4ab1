//! The manifest: damaged, lost, put back.

use std::thread;
use std::time::{Duration, Instant};

use kinlog::{Durability, Error, Options, Verdict};
use kinlog_testing::files::*;

use super::support::*;

const SLOT: usize = 4096;

fn generation(slot: &[u8]) -> u64 {
    u64::from_le_bytes(slot[48..56].try_into().unwrap())
}

/// The offset of the slot that counts.
fn newest(manifest: &[u8]) -> usize {
    if generation(&manifest[..SLOT]) > generation(&manifest[SLOT..]) { 0 } else { SLOT }
}

/// A store that was closed, opened again and added to.
fn twice() -> Built {
    let builder = Builder::new();
    let run = builder.start("one");
    builder.append(&run, b"first", Durability::Sync);
    let built = builder.finish();
    let builder = Builder::on(&built.closed);
    builder.append(&run, b"second", Durability::Sync);
    builder.append(&run, b"third", Durability::Sync);
    builder.finish()
}

#[test]
fn a_bit_in_either_slot_after_a_clean_close_loses_nothing() {
    let built = twice();
    let newest = newest(&built.closed.0["MANIFEST"]);
    for slot in [0, SLOT] {
        for at in (0..80).chain((80..SLOT).step_by(131)).chain([SLOT - 1]) {
            let mut image = built.closed.clone();
            image.manifest_mut()[slot + at] ^= 1 << (at % 8);
            let what = format!("byte {at} of the slot at {slot}, the newest is at {newest}");
            let (report, found) = examine(&image, &what).opened(&what);
            assert!(report.manifest_damaged, "{what}");
            assert_eq!(found, built.digest, "{what}");
            // Without the newest slot nobody knows that the store was closed.
            let expected = if slot == newest { Verdict::Unclosed } else { Verdict::Clean };
            assert_eq!(report.verdict, expected, "{what}");
        }
    }
}

#[test]
fn a_bit_in_either_slot_after_a_kill_loses_nothing_and_refuses_nothing() {
    // The slot before the newest is of the epoch before: the log's last frames are younger.
    let built = twice();
    let newest = newest(&built.killed.0["MANIFEST"]);
    for slot in [0, SLOT] {
        for at in 0..72 {
            let mut image = built.killed.clone();
            image.manifest_mut()[slot + at] ^= 1 << (at % 8);
            let what = format!("byte {at} of the slot at {slot}, the newest is at {newest}");
            let (report, found) = examine(&image, &what).opened(&what);
            assert_eq!(
                (report.verdict, found),
                (Verdict::Unclosed, built.digest.clone()),
                "{what}"
            );
        }
    }
}

#[test]
fn a_slot_of_the_epoch_before_does_not_prove_that_younger_bytes_were_never_acknowledged() {
    // The store was closed, then opened again and added to; then the newest slot and a commit of
    // the new epoch are damaged both.
    let built = twice();
    let newest = newest(&built.killed.0["MANIFEST"]);
    let places = places(&built.killed);
    let (second, third) = (places[2], places[3]);
    let mut image = built.killed.clone();
    image.manifest_mut()[newest + 60] ^= 1;
    image.segment_mut(0)[second.start + 40] ^= 1;
    // The third commit vouches for the second.
    let corruption = examine(&image, "vouched").refused("vouched");
    assert_eq!(corruption.offset, second.start as u64);
    // Nothing vouches for it, nor does anything prove that it was never acknowledged.
    image.segment_mut(0)[third.start..third.end].fill(0);
    let (report, found) = examine(&image, "unvouched").opened("unvouched");
    assert_eq!((report.verdict, found), (Verdict::Ambiguous, built.digest[..2].to_vec()));
}

#[test]
fn both_slots_damaged_are_refused() {
    let built = twice();
    for whole in [&built.closed, &built.killed] {
        for at in 0..72 {
            let mut image = whole.clone();
            image.manifest_mut()[at] ^= 1 << (at % 8);
            image.manifest_mut()[SLOT + 71 - at] ^= 1 << (at % 8);
            let what = format!("byte {at}");
            let corruption = examine(&image, &what).refused(&what);
            assert!(corruption.path.ends_with("MANIFEST"), "{what}: {corruption}");
        }
    }
}

#[test]
fn a_manifest_of_the_wrong_length_is_refused() {
    let built = twice();
    for len in [0, 1, 71, SLOT, 2 * SLOT - 1] {
        let mut image = built.closed.clone();
        image.manifest_mut().truncate(len);
        let what = format!("{len} bytes");
        let corruption = examine(&image, &what).refused(&what);
        assert!(corruption.path.ends_with("MANIFEST"), "{what}: {corruption}");
    }
}

#[test]
fn a_lost_manifest_is_refused_and_nothing_is_changed() {
    let built = twice();
    for damage in [false, true] {
        let mut image = built.closed.clone();
        image.0.remove("MANIFEST");
        if damage {
            // The first commit's header is gone too: the segment is not empty for that.
            image.segment_mut(0)[PAGE..PAGE + 20].fill(0);
        }
        let dir = directory();
        image.write_killed(dir.path());
        // Everybody says the same.
        for options in
            [small_segments(), Options::new().create(false), Options::new().read_only(true)]
        {
            match options.open(dir.path()) {
                Err(Error::Corrupt(corruption)) => {
                    assert!(corruption.path.ends_with("MANIFEST"));
                    assert!(corruption.to_string().contains("kinlog salvage"), "{corruption}");
                }
                other => panic!("{other:?}"),
            }
            Image::read_but_lock(dir.path()).assert_same(&image, "a lost manifest");
        }
    }
}

#[test]
fn a_lost_log_is_refused_and_nothing_is_changed() {
    let mut image = twice().closed.clone();
    image.0.retain(|name, _| name == "MANIFEST");
    let dir = directory();
    image.write_killed(dir.path());
    let _ = std::fs::remove_dir_all(dir.path().join("log"));
    for options in [small_segments(), Options::new().create(false), Options::new().read_only(true)]
    {
        match options.open(dir.path()) {
            Err(Error::Corrupt(corruption)) => {
                assert!(corruption.path.ends_with("log/00000000.seg"), "{corruption}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_older_manifest_is_refused_or_everything_is_there() {
    let builder = Builder::new();
    let mut manifests = vec![builder.killed().0["MANIFEST"].clone()];
    let run = builder.start("one");
    let mut image = builder.finish().closed;
    for round in 0..4u8 {
        manifests.push(image.0["MANIFEST"].clone());
        let builder = Builder::on(&image);
        manifests.push(builder.killed().0["MANIFEST"].clone());
        builder.append(&run, &[round; 100], Durability::Sync);
        let built = builder.finish();
        image = built.closed;
        for (age, manifest) in manifests.iter().rev().enumerate() {
            let mut older = image.clone();
            *older.manifest_mut() = manifest.clone();
            let what = format!("round {round}, {age} manifests back");
            match examine(&older, &what) {
                Outcome::Opened(report, found) => {
                    assert_eq!((age, report.verdict), (0, Verdict::Unclosed), "{what}");
                    assert_eq!(found, built.digest, "{what}");
                }
                Outcome::Refused(corruption) => {
                    assert!(age > 0 && corruption.path.ends_with("MANIFEST"), "{corruption}");
                }
                Outcome::Failed(error) => panic!("{what}: {error}"),
            }
        }
    }
}

#[test]
fn an_older_manifest_does_not_make_a_damaged_commit_a_torn_one() {
    let older = {
        let builder = Builder::new();
        builder.start("one");
        builder.finish()
    };
    // The same store's manifest of before the second opening: an identity of its own would be
    // refused for that.
    let mut first = older.closed.0["MANIFEST"].clone();
    let builder = Builder::on(&older.closed);
    let run = builder.store.current_run("n", "one").unwrap().unwrap();
    builder.append(&run, b"second", Durability::Sync);
    builder.append(&run, b"third", Durability::Sync);
    let mut image = builder.finish().closed;
    std::mem::swap(image.manifest_mut(), &mut first);
    let second = places(&image)[1];
    image.segment_mut(0)[second.start + 40] ^= 1;
    examine(&image, "an older manifest").refused("an older manifest");
}

#[test]
fn a_store_at_rest_vouches_for_its_last_commit_without_being_closed() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    tx.put("t", b"k", b"v").unwrap();
    tx.commit().unwrap();
    // The store's thread marks the manifest once nothing was committed for a while. However long
    // that takes here, it must come; the guard is against a hang, not a measurement.
    let guard = Instant::now();
    let image = loop {
        let image = Image::read_but_lock(dir.path());
        let slots = image.0["MANIFEST"].chunks(SLOT);
        let marks = slots.map(|slot| u64::from_le_bytes(slot[56..64].try_into().unwrap()));
        if marks.max() == Some(store.end().as_u64()) {
            break image;
        }
        assert!(guard.elapsed() < Duration::from_secs(120), "the mark does not come");
        thread::yield_now();
    };
    let last = *places(&image).last().unwrap();
    for (what, byte) in [("the first byte", last.start), ("the last byte", last.end - 1)] {
        let mut image = image.clone();
        image.segment_mut(0)[byte] ^= 1;
        let other = directory();
        image.write_killed(other.path());
        let corruption = examine_in(other.path(), &image, what).refused(what);
        assert_eq!(corruption.offset, last.start as u64, "{what}");
    }
}
