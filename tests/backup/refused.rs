//! Where no backup is made, and of what.

use std::fs;
use std::os::unix::fs::FileExt;

use kinlog::Error;
use kinlog_testing::files::{Image, directory};

use super::support::places;
use super::*;

/// What is in the way is named, and left as it is.
fn in_the_way(store: &kinlog::Store, to: &Path, what: &str) {
    let before = Image::read_but_lock(to);
    match store.backup(to, None, |_| {}) {
        Err(Error::NotEmpty { path }) => assert_eq!(path, to.join(what)),
        other => panic!("{other:?}"),
    }
    Image::read_but_lock(to).assert_same(&before, what);
}

#[test]
fn nothing_is_overwritten() {
    let builder = Builder::new();
    fill(&builder, 10);
    let store = &builder.store;
    let dir = directory();
    let other = dir.path().join("other");
    drop(small_segments().open(&other).unwrap());
    in_the_way(store, &other, "MANIFEST");
    // A store that lost its manifest is somebody's, too.
    fs::remove_file(other.join("MANIFEST")).unwrap();
    let _ = fs::remove_file(other.join("RESERVE"));
    in_the_way(store, &other, "log/00000000.seg");

    let files = dir.path().join("files");
    fs::create_dir_all(files.join("log")).unwrap();
    fs::write(files.join("log/00000000.seg.old"), b"mine").unwrap();
    in_the_way(store, &files, "log/00000000.seg.old");
    fs::write(files.join("letter"), b"mine").unwrap();
    in_the_way(store, &files, "letter");
    // Even where an attempt was made before.
    fs::write(files.join("MANIFEST.tmp"), b"").unwrap();
    in_the_way(store, &files, "letter");
    fs::remove_file(files.join("letter")).unwrap();
    in_the_way(store, &files, "log/00000000.seg.old");

    let file = dir.path().join("file");
    fs::write(&file, b"mine").unwrap();
    assert!(matches!(store.backup(&file, None, |_| {}), Err(Error::Io { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

/// By whatever path.
#[test]
fn no_backup_lies_within_its_store_or_around_it() {
    let builder = Builder::new();
    fill(&builder, 3);
    let (store, own) = (&builder.store, builder.dir.path());
    let dir = directory();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(own, &link).unwrap();
    let deep = dir.path().join("deep");
    std::os::unix::fs::symlink(own.join("log"), &deep).unwrap();
    let before = Image::read_but_lock(own);
    let within = [own.to_owned(), own.join("backup"), own.join("log/a/b"), link.clone()];
    for to in within.into_iter().chain([link.join("backup"), deep.join("backup")]) {
        let refused = store.backup(&to, None, |_| {});
        assert!(
            matches!(&refused, Err(Error::Nested { inner, .. }) if *inner == to),
            "{refused:?}"
        );
    }
    let around = own.parent().unwrap();
    let refused = store.backup(around, None, |_| {});
    assert!(matches!(&refused, Err(Error::Nested { outer, .. }) if outer == around), "{refused:?}");
    // Nor in the former one that it shares files with.
    let base = dir.path().join("base");
    store.backup(&base, None, |_| {}).unwrap();
    let refused = store.backup(base.join("next"), Some(&base), |_| {});
    assert!(matches!(refused, Err(Error::Nested { .. })), "{refused:?}");
    Image::read_but_lock(own).assert_same(&before, "refused");
}

/// Somebody moves it away and puts another store there, while it is being made.
#[test]
fn a_backup_makes_nothing_in_what_comes_in_its_place() {
    let builder = Builder::new();
    fill(&builder, 40);
    let dir = directory();
    let (to, moved, other) =
        (dir.path().join("to"), dir.path().join("moved"), dir.path().join("other"));
    drop(small_segments().open(&other).unwrap());
    let there = Image::read_but_lock(&other);
    let mut placed = false;
    let backup = builder.store.backup(&to, None, |_| {
        if !std::mem::replace(&mut placed, true) {
            fs::rename(&to, &moved).unwrap();
            fs::rename(&other, &to).unwrap();
        }
    });
    assert!(matches!(&backup, Err(Error::Displaced { path, .. }) if *path == to), "{backup:?}");
    Image::read_but_lock(&to).assert_same(&there, "in its place");
}

#[test]
fn two_backups_into_one_directory_do_not_mix() {
    let builder = Builder::new();
    fill(&builder, 10);
    let to = directory();
    let mut met = 0;
    let report = builder.store.backup(to.path(), None, |_| {
        let second = builder.store.backup(to.path(), None, |_| {});
        assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
        let opened = small_segments().open(to.path());
        assert!(matches!(opened, Err(Error::Locked { .. })), "{opened:?}");
        met += 1;
    });
    assert!(met > 1);
    assert_eq!(report.unwrap().commits, digest(&builder.store).len() as u64);
    check(to.path(), &digest(&builder.store));
}

#[test]
fn a_damaged_store_has_no_backup_and_the_place_is_named() {
    let builder = Builder::new();
    fill(&builder, 17);
    let to = directory();
    let image = builder.killed();
    let places = places(&image);
    let end = builder.store.end().as_u64() as usize;
    let mut spots: Vec<(usize, usize, usize)> = places
        .iter()
        .flat_map(|place| {
            let middle = place.start + 20 + (place.end - place.start - 24) / 2;
            [place.start, place.start + 9, middle, place.end - 1]
                .map(|at| (place.segment, at, place.start))
        })
        .collect();
    spots.extend([(0, 0, 0), (1, 50, 0), (1, PAGE - 1, 72), (end / SEGMENT, 12, 0)]);
    for (segment, offset, named) in spots {
        let path = builder.dir.path().join(segment_name(segment));
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let byte = image.segment(segment)[offset];
        file.write_all_at(&[byte ^ 0x10], offset as u64).unwrap();
        match builder.store.backup(to.path(), None, |_| {}) {
            Err(Error::Corrupt(found)) => {
                assert_eq!((&found.path, found.offset), (&path, named as u64), "{found}");
            }
            other => panic!("{segment} at {offset}: {other:?}"),
        }
        let opened = small_segments().read_only(true).open(to.path());
        assert!(matches!(opened, Err(Error::NotAStore { .. })), "{opened:?}");
        file.write_all_at(&[byte], offset as u64).unwrap();
    }
    builder.store.backup(to.path(), None, |_| {}).unwrap();
    check(to.path(), &digest(&builder.store));
}

/// A segment that was put in the place of another one, whole in itself.
#[test]
fn a_foreign_segment_or_manifest_in_the_store_is_found() {
    let builder = Builder::new();
    fill(&builder, 17);
    let other = Builder::new();
    fill(&other, 17);
    for name in [segment_name(1), "MANIFEST".to_owned()] {
        let path = builder.dir.path().join(&name);
        let own = fs::read(&path).unwrap();
        fs::copy(other.dir.path().join(&name), &path).unwrap();
        let result = builder.store.backup(directory().path(), None, |_| {});
        assert!(matches!(result, Err(Error::Corrupt(_))), "{name}: {result:?}");
        fs::write(&path, own).unwrap();
    }
}
