//! Whether what is lost was ever acknowledged: what recovery would say of it.

use kinlog::salvage::{LossStatus, ManifestState};
use kinlog::{Durability, EventKind, NewEvent, NewRun, Verdict};
use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, small_segments};

/// Three commits of which nothing but the log vouches for the last: the files as a kill leaves
/// them, and where the last frame begins and ends.
fn killed() -> (Image, usize, usize) {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let marks = Image::read(dir.path());
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "w", "T")).unwrap();
    tx.commit().unwrap();
    let mut last = 0;
    for _ in 0..2 {
        let mut tx = store.begin();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &[9; 400])).unwrap();
        last = tx.commit_with(Durability::Buffered).unwrap().position().as_u64() as usize;
    }
    let end = store.end().as_u64() as usize;
    let mut image = Image::read(dir.path());
    // The store may have been idle for long enough to say how far it is on the device.
    for name in ["MANIFEST", "LOCK"] {
        image.0.insert(name.into(), marks.0[name].clone());
    }
    image.0.remove("log/prepared.tmp");
    (image, last, end)
}

fn salvaged(image: &Image) -> (kinlog::salvage::SalvageReport, u64) {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    image.write(&src);
    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
    let store = small_segments().open(&dst).unwrap();
    (report, store.stats().unwrap().commits)
}

#[test]
fn a_store_that_was_killed_loses_nothing() {
    let (report, commits) = salvaged(&killed().0);
    assert!(report.is_complete() && report.lost.is_empty(), "{report:?}");
    assert_eq!(commits, 3);
}

#[test]
fn a_commit_that_was_never_finished_is_not_lost() {
    let (mut image, last, end) = killed();
    image.segment_mut(0)[end - 4..end].fill(0);
    let (report, commits) = salvaged(&image);
    assert_eq!(report.lost[0].status, LossStatus::NeverAcknowledged);
    assert_eq!(report.lost[0].from, last as u64);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(commits, 2);
}

#[test]
fn a_last_commit_that_nothing_vouches_for_may_be_lost() {
    let (mut image, last, end) = killed();
    image.segment_mut(0)[end - 30] ^= 1;
    let (report, commits) = salvaged(&image);
    assert_eq!(report.lost[0].status, LossStatus::Unknown);
    assert_eq!((report.lost[0].from, report.lost[0].to), (last as u64, end as u64));
    assert!(!report.is_complete());
    assert_eq!(commits, 2);
    // The damaged bytes still name the run.
    assert_eq!(report.lost[0].runs.len(), 1);
}

#[test]
fn bytes_behind_the_end_of_a_closed_log_are_not_lost() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    store.shut_down().unwrap();
    let mut image = Image::read(dir.path());
    image.segment_mut(0)[PAGE + 800] = 1;
    let (report, commits) = salvaged(&image);
    assert_eq!(report.lost[0].status, LossStatus::NeverAcknowledged);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(commits, 0);
}

#[test]
fn a_log_that_was_zeroed_from_some_point_on_is_known_to_have_gone_on() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("n", "w", "T")).unwrap();
    let at = tx.commit().unwrap().position().as_u64() as usize;
    let end = store.end();
    store.shut_down().unwrap();
    let mut image = Image::read(dir.path());
    image.segment_mut(0)[at..].fill(0);
    let (report, _) = salvaged(&image);
    let shortfall = report.shortfall.unwrap();
    assert_eq!((shortfall.acknowledged, shortfall.found.as_u64()), (end, at as u64));
    let lost = &report.lost[0];
    assert_eq!((lost.from, lost.to), (at as u64, end.as_u64()));
    assert_eq!(lost.status, LossStatus::Acknowledged);
    assert!(!report.is_complete());
}

#[test]
fn a_manifest_from_a_backup_does_not_say_where_the_log_ends() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "w", "T")).unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    let old = std::fs::read(dir.path().join("MANIFEST")).unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut last = 0;
    for _ in 0..2 {
        let marker = NewEvent::opaque(EventKind::MARKER_RECORDED, &[9; 400]);
        last = store.append(&run, marker).unwrap().position().as_u64() as usize;
    }
    store.shut_down().unwrap();
    let mut image = Image::read(dir.path());
    image.0.insert("MANIFEST".into(), old);
    let (report, commits) = salvaged(&image);
    assert_eq!((report.manifest, commits), (ManifestState::Stale, 3));
    assert!(report.is_complete(), "{report:?}");
    image.segment_mut(0)[last + 100] ^= 1;
    let (report, commits) = salvaged(&image);
    assert_eq!((report.lost[0].status, commits), (LossStatus::Unknown, 2));
}

#[test]
fn a_file_that_ends_proves_nothing_about_what_followed() {
    let (mut image, last, end) = killed();
    // Zeros that were read would prove that the last commit was never finished.
    image.segment_mut(0)[last..].fill(0);
    let (report, _) = salvaged(&image);
    assert!(report.is_complete() && report.lost.is_empty(), "{report:?}");
    for len in [last, last + 8, end - 4] {
        let (mut image, ..) = killed();
        image.segment_mut(0).truncate(len);
        let (report, commits) = salvaged(&image);
        assert_eq!((report.lost[0].status, commits), (LossStatus::Unknown, 2), "cut to {len}");
        assert_eq!(report.lost[0].what, "the file ends before", "cut to {len}");
    }
}

/// A frame that a repair removed and that comes back verifies in its place, and even goes on where
/// its run is. It is older than what is before it.
#[test]
fn what_a_repair_removed_stays_removed() {
    let dir = directory();
    let (mut image, last, end) = killed();
    let removed = image.segment_mut(0)[last..end].to_vec();
    let before = 2 * last - end;
    image.segment_mut(0)[before..last].fill(0);
    image.write(dir.path());
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Torn);
    let run = store.current_run("n", "w").unwrap().unwrap();
    let again = NewEvent::opaque(EventKind::MARKER_RECORDED, &[8; 400]);
    assert_eq!(store.append(&run, again).unwrap().position().as_u64(), before as u64);
    store.shut_down().unwrap();
    let mut image = Image::read(dir.path());
    image.0.retain(|name, _| !name.starts_with("quarantine"));
    image.segment_mut(0)[last..end].copy_from_slice(&removed);
    let (report, commits) = salvaged(&image);
    assert_eq!(commits, 2);
    assert_eq!(report.lost[0].what, "a frame is older than what comes before it");
    assert!(report.is_complete(), "{report:?}");
}

/// A log goes on in the next segment only behind what seals the one before: whatever is there of a
/// later segment says that the end of this one is lost, even if nothing says that it was synced.
#[test]
fn what_lies_before_a_later_segment_was_part_of_the_log() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let marks = Image::read(dir.path());
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "w", "T")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    let mut last = 0;
    while store.end().as_u64() < SEGMENT as u64 {
        let mut tx = store.begin();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &[9; 9000])).unwrap();
        let end = store.end().as_u64() as usize;
        last = if end < SEGMENT { end } else { last };
        tx.commit_with(Durability::Buffered).unwrap();
    }
    let mut image = Image::read(dir.path());
    for name in ["MANIFEST", "LOCK"] {
        image.0.insert(name.into(), marks.0[name].clone());
    }
    image.0.remove("log/prepared.tmp");
    // What seals the segment, or a commit and what seals it.
    image.segment_mut(0)[last..].fill(0);
    let (report, _) = salvaged(&image);
    assert_eq!((report.lost[0].from, report.lost[0].to), (last as u64, SEGMENT as u64));
    assert!(report.shortfall.is_none(), "{report:?}");
}

#[test]
fn a_later_commit_says_what_was_acknowledged() {
    let (mut image, ..) = killed();
    image.segment_mut(0)[PAGE + 40] ^= 1;
    let (report, commits) = salvaged(&image);
    assert_eq!(
        (report.lost[0].from, report.lost[0].status),
        (PAGE as u64, LossStatus::Acknowledged)
    );
    // The run has lost its beginning: nobody knows which one it was.
    assert_eq!((report.runs_unknown.len(), report.commits_dropped, commits), (1, 2, 0));
    let unknown = report.runs_unknown[0];
    assert_eq!((unknown.number, unknown.first_found, unknown.last_found), (0, 2, 3));
}
