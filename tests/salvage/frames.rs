//! Damage within segments: each frame in turn, bits anywhere, pages, sectors that cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinlog::Options;
use kinlog::salvage::{LossStatus, SalvageReport};
use kinlog_testing::Rng;
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, segment_name, small_segments};

use super::examine::{differs, examine, histories};
use super::original::{BUSY, Original, Place};

#[test]
fn of_a_sound_store_nothing_is_lost() {
    let report = examine(&BUSY, &BUSY.image, "sound");
    assert!(report.is_complete(), "{report:?}");
    assert!(report.lost.is_empty() && report.files.is_empty() && report.stale_tables.is_empty());
    assert!(report.commits_whole > 100 && report.runs_whole > 30, "{report:?}");
    assert_eq!(report.segments, BUSY.image.segments() as u64);
    assert_eq!(report.bytes_read, (BUSY.image.segments() * SEGMENT) as u64);
}

/// Damages one frame so that nothing of it verifies.
fn hit(image: &mut Image, place: &Place, way: usize) {
    let frame = &mut image.segment_mut(place.segment)[place.start..place.end];
    let end = frame.len();
    match way {
        0 => frame[0] ^= 1,
        1 => frame[4] ^= 0x40,
        2 => frame[end / 2] ^= 0x10,
        3 => frame[end - 1] ^= 0x80,
        4 => frame.fill(0),
        _ => frame.fill(0xa5),
    }
}

/// Whatever it is that runs have to do with each other, its loss takes what builds on it, and no
/// more. Each reason for a cut is met.
#[test]
fn what_builds_on_lost_frames_is_lost_with_them() {
    let mut reasons = BTreeSet::new();
    for seed in 2..8 {
        let original = Original::make(seed, 2);
        for round in 0..40 {
            let what = format!("seed {seed}, round {round}");
            let mut random = Rng::new(seed << 32 | round);
            let mut image = original.image.clone();
            for _ in 0..=random.below(5) {
                let place = original.commits[random.below(original.commits.len())].place;
                hit(&mut image, &place, 2 + random.below(4));
            }
            let report = examine(&original, &image, &what);
            reasons.extend(report.runs_cut.iter().map(|run| run.why));
        }
    }
    for reason in [
        "the batch that follows is missing",
        "its parent's record of it is lost",
        "the run before it is lost",
        "the run whose events it shares lost some of them",
        "the child does not begin in the same commit, as a child of this run",
        "the child's chain has not ended",
    ] {
        assert!(reasons.contains(reason), "{reason}: {reasons:?}");
    }
}

fn the_range(report: &SalvageReport, what: &str) -> (u64, u64, LossStatus) {
    let [lost] = report.lost.as_slice() else { panic!("{what}: {:?}", report.lost) };
    (lost.from, lost.to, lost.status)
}

#[test]
fn a_frame_that_is_damaged_is_lost_alone() {
    let frames = BUSY.frames();
    for (i, place) in frames.iter().enumerate() {
        for way in [i % 6, (i + 3) % 6] {
            let what = format!("{place:?}, way {way}");
            let mut image = BUSY.image.clone();
            hit(&mut image, place, way);
            let report = examine(&BUSY, &image, &what);
            let next = frames.get(i + 1);
            let (from, to, standing) = the_range(&report, &what);
            assert_eq!((from, standing), (place.start as u64, LossStatus::Acknowledged), "{what}");
            match next {
                Some(next) if next.segment == place.segment => {
                    assert_eq!(to, place.end as u64, "{what}: up to the next frame");
                }
                // Behind what seals a segment there may have been anything.
                Some(_) => assert_eq!(to, SEGMENT as u64, "{what}: up to the segment's end"),
                None => assert_eq!(to, place.end as u64, "{what}: up to the mark"),
            }
            assert_eq!(report.shortfall.is_some(), next.is_none(), "{what}");
        }
    }
}

#[test]
fn a_bit_that_flips_anywhere_takes_no_more_than_its_frame() {
    for seed in 0..300 {
        let what = format!("seed {seed}");
        let mut random = Rng::new(seed);
        let mut image = BUSY.image.clone();
        for _ in 0..=random.below(3) {
            let segment = random.below(image.segments());
            let offset = random.below(SEGMENT);
            image.segment_mut(segment)[offset] ^= 1 << random.below(8);
        }
        let report = examine(&BUSY, &image, &what);
        let lost = BUSY.frames().iter().filter(|place| differs(&BUSY, &image, place)).count();
        assert_eq!(report.is_complete(), lost == 0, "{what}: {report:?}");
    }
}

#[test]
fn pages_that_are_zeroed_or_garbled_take_their_frames() {
    for seed in 0..60 {
        let what = format!("seed {seed}");
        let mut random = Rng::new(seed);
        let mut image = BUSY.image.clone();
        for _ in 0..=random.below(4) {
            let segment = random.below(image.segments());
            let page = PAGE * (1 + random.below(SEGMENT / PAGE - 1));
            let fill = random.pick(&[0, 0xff, 0x5a]);
            image.segment_mut(segment)[page..page + PAGE].fill(fill);
        }
        examine(&BUSY, &image, &what);
    }
}

#[test]
fn pages_that_cannot_be_read_are_lost_and_no_others() {
    for seed in 0..20 {
        let mut random = Rng::new(seed);
        let place = random.pick(&BUSY.frames());
        let (segment, bad) = (place.segment, place.start / PAGE);
        let dir = directory();
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        BUSY.image.write(&src);
        let path = src.join(segment_name(segment));
        // The header and the whole are read first, then page after page.
        let reads = AtomicUsize::new(0);
        let disk = disk_with(move |op, at| {
            if op != Op::Read || at != path {
                return Fate::Done;
            }
            match reads.fetch_add(1, Ordering::Relaxed) {
                1 => Fate::Fails(ErrorKind::Other),
                read if read == 2 + bad => Fate::Fails(ErrorKind::Other),
                _ => Fate::Done,
            }
        });
        let report =
            kinlog::salvage::salvage(&src, &dst, &Options::new().disk(disk), |_| ()).unwrap();
        // The same as if the page were garbled: of zeros in the last page it is known that nothing was there.
        let mut image = BUSY.image.clone();
        image.segment_mut(segment)[bad * PAGE..(bad + 1) * PAGE].fill(0x5a);
        let what = format!("page {bad} of segment {segment}");
        let twin = examine(&BUSY, &image, &what);
        let ranges = |report: &SalvageReport| {
            report.lost.iter().map(|lost| (lost.from, lost.to)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(&report), ranges(&twin), "{what}");
        assert_eq!(report.lost[0].what, "the system cannot read it", "{what}");
        assert_eq!(report.runs_cut, twin.runs_cut, "{what}");
        let store = small_segments().open(&dst).unwrap();
        assert_eq!(histories(&store).len() as u64, twin_runs(&twin), "{what}");
    }
}

fn twin_runs(report: &SalvageReport) -> u64 {
    let parts = report.runs_cut.iter().filter(|run| run.events_kept > 0).count();
    report.runs_whole + parts as u64
}

#[test]
fn tables_are_named_whose_rows_may_be_out_of_date() {
    let frames: Vec<_> = BUSY.commits.iter().collect();
    let at = frames.len() / 2;
    let mut image = BUSY.image.clone();
    hit(&mut image, &frames[at].place, 2);
    let report = examine(&BUSY, &image, "tables");
    // The rows that are left of those set before the lost commit.
    let mut set: BTreeMap<(&str, &[u8]), usize> = BTreeMap::new();
    for (i, commit) in BUSY.commits.iter().enumerate().filter(|(i, _)| *i != at) {
        for (table, key, value) in &commit.rows {
            match value {
                Some(_) => set.insert((table, key), i),
                None => set.remove(&(table.as_str(), key.as_slice())),
            };
        }
    }
    let mut stale: BTreeMap<&str, u64> = BTreeMap::new();
    for ((table, _), _) in set.iter().filter(|(_, i)| **i < at) {
        *stale.entry(table).or_default() += 1;
    }
    let found = report.stale_tables.iter().map(|stale| (stale.table.as_str(), stale.rows));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), stale);
    assert!(stale.len() > 1, "{stale:?}");
}
