//! What `verify` looks at: every byte of a store. It is never satisfied with a store that is not
//! what it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[allow(dead_code)]
#[path = "verdict/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kinlog::admin::{VerifyProgress, VerifyReport};
use kinlog::error::Corruption;
use kinlog::{Durability, Error, Verdict};
use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, segment_name, small_segments};
use kinlog_testing::steps::marker;

use support::{Builder, Built, Digest, digest, places};

/// Two segments and a spare one; the second ends with one commit in a group of its own.
fn built() -> Built {
    let builder = Builder::new();
    let run = builder.start("one");
    for len in [60, 59_000, 100, 200] {
        builder.append(&run, &vec![5; len], Durability::Sync);
    }
    // The last segment is half full, so that the next one is prepared.
    builder.append(&run, &[6; 34_000], Durability::Sync);
    while !fs::exists(builder.dir.path().join(segment_name(2))).unwrap() {
        std::thread::yield_now();
    }
    builder.append(&run, &[7; 30], Durability::Sync);
    builder.finish()
}

fn flip(dir: &Path, name: &str, offset: usize, bit: usize) {
    let file = OpenOptions::new().read(true).write(true).open(dir.join(name)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], offset as u64).unwrap();
}

/// What verifying a store comes to that is opened for reading.
enum Found {
    /// Opening it was refused, or verifying it.
    Damaged(Box<Corruption>),
    InDoubt,
    Sound(VerifyReport, Digest),
}

fn verify(dir: &Path) -> Found {
    let opened = small_segments().read_only(true).open(dir);
    let verified = opened.and_then(|store| Ok((store.verify(|_| {})?, store)));
    match verified {
        Ok((report, _)) if !report.is_sound() => Found::InDoubt,
        Ok((report, store)) => Found::Sound(report, digest(&store)),
        Err(Error::Corrupt(corruption)) => Found::Damaged(corruption),
        Err(error) => panic!("{error}"),
    }
}

/// The bytes of a file that are cases of their own: fields of pages, and whatever is near the
/// beginning or the end of a frame. Of long payloads and of zeros one in 61 will do, as they are
/// looked at by one loop.
fn cases(image: &Image, name: &str) -> Vec<usize> {
    const NEAR: usize = 100;
    let edges: Vec<usize> = places(image)
        .iter()
        .filter(|place| segment_name(place.segment) == name)
        .flat_map(|place| [place.start, place.end])
        .collect();
    let case = |at: &usize| {
        at % PAGE < NEAR && *at < 2 * PAGE
            || edges.iter().any(|edge| edge.abs_diff(*at) < NEAR)
            || at.is_multiple_of(61)
    };
    (0..image.0[name].len()).filter(case).collect()
}

/// One bit of the image is flipped at a time; which bytes verify passes over.
fn passed_over(image: &Image, commits: &Digest) -> BTreeMap<String, Vec<usize>> {
    let dir = directory();
    image.write_killed(dir.path());
    let mut passed = BTreeMap::<String, Vec<usize>>::new();
    // What is in the reserve is of no account.
    for name in image.0.keys().filter(|name| *name != "RESERVE") {
        for offset in cases(image, name) {
            flip(dir.path(), name, offset, offset % 8);
            match verify(dir.path()) {
                Found::Sound(report, found) => {
                    assert!(found == *commits, "{name} at {offset}: {report:?}");
                    if report.unfinished_bytes == 0 && !report.manifest_damaged {
                        passed.entry(name.clone()).or_default().push(offset);
                    }
                }
                Found::Damaged(found) => {
                    assert!(found.path.starts_with(dir.path()), "{found}");
                }
                Found::InDoubt => {}
            }
            flip(dir.path(), name, offset, offset % 8);
        }
    }
    assert!(matches!(verify(dir.path()), Found::Sound(_, found) if found == *commits));
    passed
}

#[test]
fn a_bit_anywhere_in_a_closed_store_is_noticed() {
    let built = built();
    assert_eq!(built.closed.segments(), 3);
    assert_eq!(passed_over(&built.closed, &built.digest), BTreeMap::new());
}

#[test]
fn a_bit_anywhere_in_a_store_that_was_killed_is_noticed() {
    let built = built();
    assert_eq!(passed_over(&built.killed, &built.digest), BTreeMap::new());
}

/// A lock file that is damaged vouches for nothing, the reserve is there for its size, and files in
/// the making are nothing yet.
#[test]
fn what_is_not_looked_into_does_not_matter() {
    let built = built();
    let dir = directory();
    built.closed.write_killed(dir.path());
    for (name, bytes) in [
        ("LOCK", [0xff; 40]),
        ("MANIFEST.tmp", [1; 40]),
        ("RESERVE", [3; 40]),
        ("log/prepared.tmp", [2; 40]),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
        match verify(dir.path()) {
            Found::Sound(report, found) => {
                assert!(found == built.digest);
                assert!(report.unknown.is_empty() && report.unfinished_bytes == 0, "{name}");
            }
            _ => panic!("{name}"),
        }
        let store = small_segments().open(dir.path()).unwrap();
        assert_eq!(digest(&store), built.digest);
        drop(store);
        built.closed.write_killed(dir.path());
    }
}

#[test]
fn what_lies_beyond_the_last_commit_is_told_apart() {
    let built = built();
    let end = places(&built.closed).last().unwrap().end;
    for (image, sound) in [(&built.closed, true), (&built.killed, false)] {
        for (segment, offset, remains) in
            [(1, end + 5000, 5001), (1, end, 1), (2, PAGE, 1), (2, SEGMENT - 1, SEGMENT - PAGE)]
        {
            let dir = directory();
            image.write_killed(dir.path());
            flip(dir.path(), &segment_name(segment), offset, 0);
            let store = small_segments().read_only(true).open(dir.path()).unwrap();
            let report = store.verify(|_| {}).unwrap();
            let found = (report.unfinished_bytes, report.doubtful_bytes);
            let torn = store.report().verdict == Verdict::Torn;
            assert_eq!(store.report().removed_bytes, remains as u64);
            assert_eq!(found, if torn { (remains as u64, 0) } else { (0, remains as u64) });
            assert_eq!((torn, report.is_sound()), (torn, torn));
            assert!(torn || !sound, "closed here, hence never acknowledged");
        }
    }
}

/// A segment's header, a slot of the manifest: read at opening, and here again.
#[test]
fn damage_that_came_after_the_opening_is_found() {
    let builder = Builder::new();
    let run = builder.start("one");
    for _ in 0..10 {
        builder.append(&run, &[5; 9000], Durability::Sync);
    }
    let reader = small_segments().read_only(true).open(builder.dir.path()).unwrap();
    let dir = builder.dir.path().to_owned();
    let last = segment_name(builder.store.end().as_u64() as usize / SEGMENT);
    let seal = *places(&builder.killed()).iter().find(|place| place.seal).unwrap();
    let frame = places(&builder.killed())[3];
    for (name, offset, at) in [
        (&segment_name(0), 50, 0),
        (&segment_name(0), 4000, 72),
        (&last, 50, 0),
        (&segment_name(0), frame.start + 30, frame.start),
    ] {
        for store in [&builder.store, &reader] {
            store.verify(|_| {}).unwrap();
            flip(&dir, name, offset, 3);
            match store.verify(|_| {}) {
                Err(Error::Corrupt(found)) => {
                    assert_eq!(
                        (&found.path, found.offset),
                        (&dir.join(name), at as u64),
                        "{found}"
                    );
                }
                other => panic!("{name} at {offset}: {other:?}"),
            }
            flip(&dir, name, offset, 3);
        }
    }
    // What an opening repairs is no error here either.
    for (name, offset, unfinished) in [
        ("MANIFEST", 60, 0),
        ("MANIFEST", 4000, 0),
        ("MANIFEST", PAGE + 60, 0),
        ("MANIFEST", 2 * PAGE - 1, 0),
        (&segment_name(0), seal.end + 3, 4),
        (&segment_name(0), SEGMENT - 1, SEGMENT - seal.end),
    ] {
        for store in [&builder.store, &reader] {
            flip(&dir, name, offset, 3);
            let report = store.verify(|_| {}).unwrap();
            let found = (report.manifest_damaged, report.unfinished_bytes);
            assert_eq!(found, (name == "MANIFEST", unfinished as u64), "{name} at {offset}");
            assert!(report.is_sound());
            flip(&dir, name, offset, 3);
        }
    }
}

#[test]
fn files_that_are_missing_swapped_or_of_another_length_are_found() {
    let builder = Builder::new();
    let run = builder.start("one");
    for _ in 0..10 {
        builder.append(&run, &[5; 9000], Durability::Sync);
    }
    let dir = builder.dir.path().to_owned();
    let damages: [fn(&Path); 6] = [
        |dir| fs::remove_file(dir.join(segment_name(0))).unwrap(),
        |dir| {
            fs::copy(dir.join(segment_name(1)), dir.join(segment_name(0))).unwrap();
        },
        |dir| {
            let file = OpenOptions::new().write(true).open(dir.join(segment_name(0))).unwrap();
            file.set_len(SEGMENT as u64 + 1).unwrap();
        },
        |dir| {
            let file = OpenOptions::new().write(true).open(dir.join("MANIFEST")).unwrap();
            file.set_len(2 * PAGE as u64 + 1).unwrap();
        },
        |dir| fs::write(dir.join("MANIFEST"), [0; 2 * PAGE]).unwrap(),
        |dir| {
            let mut manifest = fs::read(dir.join("MANIFEST")).unwrap();
            manifest.rotate_left(PAGE);
            fs::write(dir.join("MANIFEST"), manifest).unwrap();
        },
    ];
    for (i, damage) in damages.into_iter().enumerate() {
        let other = Builder::on(&builder.killed());
        damage(other.dir.path());
        let result = other.store.verify(|_| {});
        assert!(matches!(result, Err(Error::Corrupt(_))), "{i}: {result:?}");
    }
    let report = builder.store.verify(|_| {}).unwrap();
    assert_eq!(report.segments as usize, Image::read_but_lock(&dir).segments());
}

#[test]
fn what_else_is_in_the_directory_is_listed_and_no_error() {
    let builder = Builder::new();
    builder.start("one");
    let image = builder.killed();
    let end = builder.store.end().as_u64() as usize;
    drop(builder);
    let dir = directory();
    image.write_killed(dir.path());
    flip(dir.path(), &segment_name(0), end + 9, 1);
    drop(small_segments().open(dir.path()).unwrap());
    for name in ["letter", "log/0.seg", "log/00000000.seg.old", "log/MANIFEST"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let report = match verify(dir.path()) {
        Found::Sound(report, _) => report,
        _ => panic!(),
    };
    let names = ["letter", "log/0.seg", "log/00000000.seg.old", "log/MANIFEST"];
    assert_eq!(report.unknown, names.map(|name| dir.path().join(name)));
    let copy = format!("quarantine/00000000-{end}-epoch2-1.bin");
    assert_eq!(report.quarantined, [dir.path().join(copy)]);
}

/// A writer that came after the opening writes where a reader expects zeros.
#[test]
fn a_writer_that_came_later_is_no_damage() {
    let built = built();
    let dir = directory();
    built.closed.write_killed(dir.path());
    let reader = small_segments().read_only(true).open(dir.path()).unwrap();
    for _ in 0..2 {
        let writer = small_segments().open(dir.path()).unwrap();
        let mut tx = writer.begin();
        tx.put("t", b"k", &[1; 300]).unwrap();
        tx.commit().unwrap();
        let report = reader.verify(|_| {}).unwrap();
        assert_eq!((report.unfinished_bytes, report.doubtful_bytes), (0, 0), "while it lives");
        writer.shut_down().unwrap();
        let report = reader.verify(|_| {}).unwrap();
        assert_eq!((report.unfinished_bytes, report.doubtful_bytes), (0, 0), "when it is gone");
    }
    assert_eq!(digest(&reader), built.digest);
}

#[test]
fn progress_is_over_the_whole_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = kinlog::Options::new().segment_bytes(4 << 20).open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(kinlog::NewRun::new("n", "w", "T")).unwrap();
    tx.commit().unwrap();
    for _ in 0..100 {
        let mut tx = store.begin();
        tx.append(&run, marker(&[3; 100_000])).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    let watch =
        |store: &kinlog::Store, step_max: u64| -> Vec<VerifyProgress> {
            let mut steps = vec![];
            store.verify(|progress| steps.push(progress)).unwrap();
            let last = *steps.last().unwrap();
            assert_eq!((last.bytes, last.commits), (last.total, 101));
            assert!(steps.iter().all(|step| step.total == last.total && step.bytes <= last.total));
            assert!(
                steps.windows(2).all(|pair| pair[0].bytes < pair[1].bytes
                    && pair[1].bytes - pair[0].bytes < step_max)
            );
            steps
        };
    let size = store.run(&run).unwrap().bytes;
    let segments = || {
        let names = (0..).map(|number| dir.path().join(segment_name(number)));
        names.map_while(|path| fs::metadata(path).ok()).map(|segment| segment.len())
    };
    let (last, offset) = (store.end().as_u64() >> 22, store.end().as_u64() % (4 << 20));
    let log = segments().take(last as usize).sum::<u64>() + offset;
    let steps = watch(&store, 3 << 20);
    assert_eq!(steps[0].total, log + size, "the log, and then the histories");
    store.shut_down().unwrap();
    let reader = small_segments().read_only(true).open(dir.path()).unwrap();
    let log = segments().sum::<u64>();
    // The space is read at once.
    assert_eq!(
        watch(&reader, 8 << 20)[0].total,
        log + size,
        "and the space, which nobody writes now"
    );
}
