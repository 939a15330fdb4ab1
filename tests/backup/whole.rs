//! What a copy holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use kinlog::{Options, Verdict};
use kinlog_testing::files::{Image, directory};

use super::support::places;
use super::*;

#[test]
fn a_backup_beside_busy_writers_holds_every_commit_before_its_end_and_none_after() {
    let builder = Builder::new();
    fill(&builder, 10);
    let (dir, done) = (directory(), AtomicBool::new(false));
    let reports = std::thread::scope(|scope| {
        for thread in ["one", "two"] {
            let (builder, done) = (&builder, &done);
            scope.spawn(move || {
                let run = builder.start(thread);
                for i in 0.. {
                    builder.append(&run, &[1; 700], Durability::Buffered);
                    if i > 50 && done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let reports: Vec<_> = (0..5)
            .map(|i| {
                let to = dir.path().join(i.to_string());
                (builder.store.backup(&to, None, |_| {}).unwrap(), to)
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        reports
    });
    let commits = digest(&builder.store);
    for (report, to) in reports {
        let expected = upto(&commits, report.end);
        assert_eq!(report.commits, expected.len() as u64);
        check(&to, &expected);
    }
}

#[test]
fn a_copy_is_the_log_up_to_its_end_to_the_byte_and_zeros_behind() {
    let builder = Builder::new();
    fill(&builder, 17);
    let to = directory();
    let report = builder.store.backup(to.path(), None, |_| {}).unwrap();
    let (source, copy) =
        (Image::read_but_lock(builder.dir.path()), Image::read_but_lock(to.path()));
    let (last, end) =
        (report.end.as_u64() as usize / SEGMENT, report.end.as_u64() as usize % SEGMENT);
    assert!(last >= 2 && source.segments() > last, "a spare one, which is not copied");
    assert_eq!((copy.segments(), copy.0.len()), (last + 1, last + 2), "and the manifest");
    for number in 0..last {
        assert!(copy.segment(number) == source.segment(number), "{number}");
    }
    assert!(copy.segment(last)[..end] == source.segment(last)[..end]);
    assert!(copy.segment(last)[end..].iter().all(|byte| *byte == 0));
    assert_eq!((report.copied, report.linked), (last as u32 + 1, 0));
    assert_eq!(report.bytes, ((last + 1) * SEGMENT) as u64);
    // Whatever becomes of one slot, the other one knows.
    for slot in copy.0["MANIFEST"].chunks(PAGE) {
        assert_eq!((slot[12], &slot[56..64]), (1, &report.end.as_u64().to_le_bytes()[..]));
    }
}

/// The copy is taken while a group is on its way: what is written and not yet published may be in
/// the source's file, and must not be in the copy's.
#[test]
fn bytes_beyond_the_end_are_not_copied() {
    let builder = Builder::new();
    fill(&builder, 3);
    let commits = digest(&builder.store);
    let end = builder.store.end().as_u64() as usize;
    let segment = builder.dir.path().join(segment_name(0));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[end..end + 5000].fill(3);
    fs::write(&segment, bytes).unwrap();
    let to = directory();
    builder.store.backup(to.path(), None, |_| {}).unwrap();
    check(to.path(), &commits);
}

#[test]
fn what_a_crash_left_behind_the_last_commit_or_a_seal_is_not_copied() {
    let builder = Builder::new();
    fill(&builder, 10);
    let built = builder.finish();
    let places = places(&built.killed);
    let (last, seal) = (*places.last().unwrap(), places.iter().find(|place| place.seal).unwrap());
    let mut image = built.killed.clone();
    image.segment_mut(last.segment)[last.end - 8..last.end].fill(0);
    image.segment_mut(seal.segment)[seal.end + 40] = 1;
    let (source, to) = (directory(), directory());
    image.write_killed(source.path());
    let store = small_segments().read_only(true).open(source.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Torn);
    store.backup(to.path(), None, |_| {}).unwrap();
    check(to.path(), &built.digest[..built.digest.len() - 1].to_vec());
    Image::read_but_lock(source.path()).assert_same(&image, "the source");
}

#[test]
fn a_reader_copies_what_it_has_read_beside_the_writer() {
    let builder = Builder::new();
    fill(&builder, 10);
    let reader = small_segments().read_only(true).open(builder.dir.path()).unwrap();
    let read = digest(&reader);
    fill_more(&builder);
    let (old, new) = (directory(), directory());
    reader.backup(old.path(), None, |_| {}).unwrap();
    check(old.path(), &read);
    assert!(reader.refresh().unwrap());
    reader.backup(new.path(), None, |_| {}).unwrap();
    check(new.path(), &digest(&builder.store));
}

#[test]
fn what_a_copy_goes_on_with_is_newer_than_anything_in_it() {
    let dir = directory();
    // Several writers: the epoch has grown, and frames of all of them are in the log.
    for i in 0..4 {
        let store = small_segments().open(dir.path()).unwrap();
        commit(&store);
        let to = directory();
        store.backup(to.path(), None, |_| {}).unwrap();
        let copy = small_segments().open(to.path()).unwrap();
        assert_eq!(copy.report().epoch, i + 2);
        commit(&copy);
        let image = Image::read_but_lock(to.path());
        let epochs = places(&image)
            .iter()
            .map(|place| image.segment(place.segment)[place.start + 8])
            .collect::<Vec<_>>();
        assert_eq!(epochs, (1..=i as u8 + 2).collect::<Vec<_>>());
    }
}

#[test]
fn a_copy_that_is_taken_beside_a_later_writer_knows_its_epoch() {
    let dir = directory();
    drop(small_segments().open(dir.path()).unwrap());
    let reader = small_segments().read_only(true).open(dir.path()).unwrap();
    let writer = small_segments().open(dir.path()).unwrap();
    commit(&writer);
    reader.refresh().unwrap();
    let to = directory();
    reader.backup(to.path(), None, |_| {}).unwrap();
    check(to.path(), &digest(&writer));
    let copy = small_segments().open(to.path()).unwrap();
    assert!(copy.report().epoch > writer.report().epoch);
}

#[test]
fn restoring_is_a_plain_copy() {
    let builder = Builder::new();
    fill(&builder, 20);
    let dir = directory();
    let (copy, restored) = (dir.path().join("a/new/place"), dir.path().join("restored"));
    builder.store.backup(&copy, None, |_| {}).unwrap();
    let commits = digest(&builder.store);
    commit(&builder.store);
    copy_files(&copy, &restored);
    check(&restored, &commits);

    let store = small_segments().open(&restored).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    commit(&store);
    assert_eq!(digest(&store)[..commits.len()], commits);
    store.verify(|_| {}).unwrap();
    store.shut_down().unwrap();
    builder.store.verify(|_| {}).unwrap();
    check(&copy, &commits);
    // Nobody but the owner may read it.
    let mode = |name: &str| fs::metadata(copy.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("log")], [0o700; 2]);
    assert_eq!([mode("MANIFEST"), mode(&segment_name(0))], [0o600; 2]);
}

#[test]
fn an_empty_store_has_a_backup_too() {
    let (dir, to) = (directory(), directory());
    let store = Options::new().segment_bytes(SEGMENT as u32).open(dir.path()).unwrap();
    let report = store.backup(to.path(), None, |_| {}).unwrap();
    assert_eq!((report.commits, report.end), (0, store.end()));
    check(to.path(), &vec![]);
}

#[test]
fn progress_goes_from_piece_to_piece_to_the_end() {
    let builder = Builder::new();
    fill(&builder, 20);
    let dir = directory();
    let steps = |base: Option<&std::path::Path>, to: &str| {
        let mut steps = vec![];
        let report = builder.store.backup(dir.path().join(to), base, |p| steps.push(p)).unwrap();
        let segments = u64::from(report.copied + report.linked);
        assert!(steps.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
        assert!(steps.iter().all(|step| step.total == segments * SEGMENT as u64));
        let last = steps.last().unwrap();
        assert_eq!((last.bytes, steps.len() as u64), (last.total, segments));
    };
    steps(None, "one");
    steps(Some(&dir.path().join("one")), "two");
}
