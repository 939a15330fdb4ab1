//! What salvage does not do: write to the source, or where something is already.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use kinlog::{Error, Options};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, directory, small_segments};

use super::original::BUSY;

fn try_to(src: &Path, dst: &Path) -> Error {
    kinlog::salvage::salvage(src, dst, &small_segments(), |_| ()).unwrap_err()
}

#[test]
fn a_store_that_is_being_written_is_left_alone() {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let store = small_segments().open(&src).unwrap();
    let error = try_to(&src, &dst);
    let holder = std::process::id();
    assert!(
        matches!(error, Error::Locked { holder: ref found, .. } if found.process == holder),
        "{error}"
    );
    assert!(!dst.exists() && !dir.path().join("dst.partial").exists());
    drop(store);
    kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
}

#[test]
fn nobody_writes_a_store_while_it_is_salvaged() {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    BUSY.image.write(&src);
    let mut refused = 0;
    kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| {
        let error = small_segments().open(&src).unwrap_err();
        refused += usize::from(matches!(error, Error::Locked { .. }));
    })
    .unwrap();
    assert!(refused > 0);
    Image::read(&src).assert_same(&BUSY.image, "an opening that was refused");
}

#[test]
fn what_is_there_is_not_written_over() {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    BUSY.image.write(&src);
    for name in ["dst", "dst.partial"] {
        let taken = dir.path().join(name);
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("mine"), b"mine").unwrap();
        let error = try_to(&src, &dst);
        assert!(matches!(&error, Error::NotEmpty { path } if *path == taken), "{error}");
        assert_eq!(fs::read(taken.join("mine")).unwrap(), b"mine");
        fs::remove_dir_all(&taken).unwrap();
    }
    fs::write(&dst, b"a file").unwrap();
    assert!(matches!(try_to(&src, &dst), Error::Io { .. }));
    fs::remove_file(&dst).unwrap();
    fs::create_dir(&dst).unwrap();
    kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
}

#[test]
fn the_new_store_does_not_lie_within_the_old_one() {
    let dir = directory();
    let src = dir.path().join("src");
    BUSY.image.write(&src);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&src, &link).unwrap();
    for dst in [src.clone(), src.join("dst"), src.join("log/dst"), link.join("dst")] {
        let error = try_to(&src, &dst);
        assert!(
            matches!(error, Error::Nested { .. } | Error::InvalidArgument { .. }),
            "{}: {error}",
            dst.display()
        );
    }
    Image::read(&src).assert_same(&BUSY.image, "refused");
}

/// Every operation on the source is one that only reads, whatever fails on the way; and what is
/// not finished does not have its name.
#[test]
fn the_source_is_only_read_and_the_new_store_is_finished_or_not_there() {
    for failing in 0..200 {
        let dir = directory();
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        BUSY.image.write(&src);
        let (source, count) = (src.clone(), Mutex::new(0));
        let disk = disk_with(move |op, path| {
            let reads = [Op::List, Op::Open, Op::Read, Op::Lock].contains(&op);
            if path.starts_with(&source) {
                assert!(reads, "{op:?} {}", path.display());
                return Fate::Done;
            }
            let mut count = count.lock().unwrap();
            *count += 1;
            match (*count == failing, failing % 2) {
                (false, _) => Fate::Done,
                (true, 0) => Fate::Fails(std::io::ErrorKind::Other),
                (true, _) => Fate::Partly(500, std::io::ErrorKind::StorageFull),
            }
        });
        let outcome = kinlog::salvage::salvage(&src, &dst, &Options::new().disk(disk), |_| ());
        Image::read(&src).assert_same(&BUSY.image, "read");
        match outcome {
            Ok(report) => assert!(report.is_complete()),
            // The last operation is the sync of the directory that got the new name.
            Err(_) if dst.exists() => drop(small_segments().create(false).open(&dst).unwrap()),
            Err(_) => {}
        }
        if dst.exists() {
            small_segments().create(false).open(&dst).unwrap().verify(|_| ()).unwrap();
        }
    }
}
