//! A crash while a crash is being healed, after every single operation.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicI64, Ordering};

use kinlog::{Durability, Verdict};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::*;

use super::support::*;

/// Mostly zeros, which are quick to look through for frames.
fn sparse(byte: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| if at % 64 == 63 { byte } else { 0 }).collect()
}

/// Whether an operation can change what is on the disk.
fn changes(op: Op) -> bool {
    use Op::{CreateDir, Open, Remove, Rename, Sync, SyncDir, Write};
    matches!(op, CreateDir | Open | Rename | Remove | SyncDir | Write | Sync)
}

/// Images that need healing in one and in several pieces, each with the commits that are kept.
fn wounded() -> Vec<(&'static str, Image, Digest)> {
    let builder = Builder::new();
    let run = builder.start("one");
    builder.append(&run, &sparse(1, 30_000), Durability::Sync);
    let kept = digest(&builder.store);
    // A group over two segments, more than half of the second: a third one is prepared.
    builder.append(&run, &sparse(2, 20_000), Durability::Sync);
    builder.append(&run, &sparse(3, 40_000), Durability::Sync);
    let built = builder.finish();
    assert_eq!(built.closed.segments(), 3);
    let all = places(&built.closed);
    let mut whole = built.closed.clone();
    whole.0.insert("MANIFEST".into(), built.killed.0["MANIFEST"].clone());
    let unit = |image: &mut Image, place: Place, from: usize, to: usize| {
        image.segment_mut(place.segment)[place.start + from..place.start + to].fill(0);
    };
    let mut images = vec![];
    // Only the last commit is in part.
    let mut cut = whole.clone();
    let last = *all.last().unwrap();
    cut.segment_mut(last.segment)[last.start + 9_000..].fill(0);
    images.push(("cut", cut, built.digest[..3].to_vec()));
    // The end lies in the first segment, whose seal is missing; the second has a part of a frame.
    let mut hole = whole.clone();
    unit(&mut hole, all[2], 512, 1024);
    unit(&mut hole, all[3], 0, OVERHEAD);
    unit(&mut hole, last, 0, 600);
    images.push(("hole", hole, kept.clone()));
    let mut garbage = whole.clone();
    garbage.segment_mut(1)[last.end + 50..last.end + 90].fill(7);
    garbage.segment_mut(2)[PAGE + 50..PAGE + 5000].fill(7);
    images.push(("garbage", garbage, built.digest.clone()));
    images
}

#[test]
fn a_crash_at_every_operation_of_healing_leaves_what_heals_again() {
    for (name, image, kept) in wounded() {
        let mut crashes = 0;
        for k in 0.. {
            for part in [0, 400, 999] {
                let dir = directory();
                image.write_killed(dir.path());
                let left = AtomicI64::new(k);
                // Nothing is done any more once the machine is off.
                let disk = disk_with(move |op, path| {
                    if !changes(op) || path.ends_with("LOCK") {
                        return Fate::Done;
                    }
                    match left.fetch_sub(1, Ordering::SeqCst) {
                        1.. => Fate::Done,
                        0 => Fate::Partly(part, ErrorKind::Other),
                        _ => Fate::Fails(ErrorKind::Other),
                    }
                });
                let what = format!("{name}, a crash at change {k}, {part}/1000 of it done");
                match small_segments().disk(disk).open(dir.path()) {
                    Ok(store) => {
                        assert_eq!(digest(&store), kept, "{what}");
                        assert!(k > 8, "{what}");
                        std::mem::forget(store);
                    }
                    Err(_) => crashes += 1,
                }
                let mut after = Image::read_but_lock(dir.path());
                after.0.retain(|name, _| !name.starts_with("quarantine/"));
                let again = directory();
                Image::read_but_lock(dir.path()).write_killed(again.path());
                // Copies of an earlier attempt stay.
                let store =
                    small_segments().open(again.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(digest(&store), kept, "{what}");
                drop(store);
                let (_, found) = examine(&after, &what).opened(&what);
                assert_eq!(found, kept, "{what}");
                // Every byte that is gone is in quarantine, in full.
                let quarantine = Image::read_but_lock(again.path());
                assert!(quarantined(&image, &quarantine), "{what}");
            }
            if crashes < 3 * (k + 1) {
                assert!(k > 8, "{name}: {k}");
                break;
            }
        }
    }
}

/// Whether everything in `before` that is no longer in `after` lies in one of its copies.
fn quarantined(before: &Image, after: &Image) -> bool {
    let copies = after.0.iter().filter_map(|(name, bytes)| {
        let name = name.strip_prefix("quarantine/")?;
        let mut parts = name.split('-').map(|part| part.parse::<usize>());
        Some((parts.next()?.ok()?, parts.next()?.ok()?, bytes))
    });
    let copies: Vec<_> = copies.collect();
    (0..before.segments()).all(|segment| {
        let (old, new) = (before.segment(segment), after.segment(segment));
        (0..SEGMENT).filter(|at| old[*at] != new[*at]).all(|at| {
            copies.iter().any(|(number, start, bytes)| {
                let byte = at.checked_sub(*start).and_then(|at| bytes.get(at));
                *number == segment && byte == Some(&old[at])
            })
        })
    })
}

#[test]
fn a_full_disk_while_healing_refuses_and_zeroes_nothing() {
    for (name, image, kept) in wounded() {
        let dir = directory();
        image.write_killed(dir.path());
        let disk = disk_with(|_, path| match path.extension() {
            Some(end) if end == "bin" => Fate::Fails(ErrorKind::StorageFull),
            _ => Fate::Done,
        });
        small_segments().disk(disk).open(dir.path()).unwrap_err();
        // What was kept for this day is given back, and nothing else has changed.
        let mut without_reserve = image.clone();
        without_reserve.0.remove("RESERVE").unwrap();
        Image::read_but_lock(dir.path()).assert_same(&without_reserve, name);
        let (report, found) = examine(&image, name).opened(name);
        assert!(matches!(report.verdict, Verdict::Torn | Verdict::Ambiguous), "{name}");
        assert_eq!(found, kept, "{name}");
    }
}
