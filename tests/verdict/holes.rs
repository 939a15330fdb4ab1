//! The last group of writes after a power loss: any of its sectors may be missing.

use kinlog::{Durability, Verdict};
use kinlog_testing::Rng;
use kinlog_testing::files::*;
use kinlog_testing::steps::marker;

use super::support::*;

/// One synced commit, then a group that no sync has covered, over two segments if `long`. Returns
/// the number of commits before the group.
fn unsynced(long: bool) -> (Built, usize) {
    let builder = Builder::new();
    let run = builder.start("one");
    let kept = if long {
        builder.append(&run, &[1; 58_000], Durability::Sync);
        2
    } else {
        1
    };
    let mut payload = vec![];
    for i in 0..12u8 {
        payload.clear();
        payload.extend((0..700 + 90 * usize::from(i)).map(|byte| byte as u8 | 1));
        builder.append(&run, &payload, Durability::Buffered);
    }
    (builder.finish(), kept)
}

/// Zeroes the units of `bytes` in the dirty range whose bit is set.
fn punch(image: &mut Image, places: &[Place], unit: usize, holes: impl Fn(usize) -> bool) {
    let mut n = 0;
    for segment in 0..image.segments() {
        let own = places.iter().filter(|place| place.segment == segment);
        let (Some(start), Some(end)) =
            (own.clone().map(|p| p.start).min(), own.map(|p| p.end).max())
        else {
            continue;
        };
        for block in start / unit..end.div_ceil(unit) {
            if holes(n) {
                let from = (block * unit).max(start);
                image.segment_mut(segment)[from..((block + 1) * unit).min(end)].fill(0);
            }
            n += 1;
        }
    }
}

/// The commits before the first frame that is not as it was.
fn whole(image: &Image, built: &Built) -> usize {
    let same = |place: &&Place| {
        let range = place.start..place.end;
        image.segment(place.segment)[range.clone()] == built.killed.segment(place.segment)[range]
    };
    let all = places(&built.killed);
    all.iter().take_while(same).filter(|place| !place.seal).count()
}

#[test]
fn a_group_with_holes_is_healed_at_the_first_one() {
    let mut random = Rng::new(0x401e5);
    for (long, unit) in [(false, 512), (false, 4096), (true, 512), (true, 4096)] {
        let (built, kept) = unsynced(long);
        // Once a group is synced because its segment is full, later frames vouch for it.
        let all = places(&built.killed);
        let first = match all.iter().position(|place| place.seal) {
            // The seal and the first frame after it were synced together.
            Some(seal) => seal + 2,
            None => kept,
        };
        let group = &all[first..];
        assert!(group.len() > 4, "{}", group.len());
        let blocks = 24;
        let one_each = (0..blocks).map(|n| 1u64 << n);
        let some = (0..100).map(|_| random.draw() & random.draw());
        for holes in one_each.chain(some.collect::<Vec<_>>()) {
            let mut image = built.killed.clone();
            punch(&mut image, group, unit, |n| holes >> (n % 64) & 1 == 1);
            let what = format!("holes of {unit} B: {holes:#x}, long: {long}");
            let (report, found) = examine(&image, &what).opened(&what);
            assert_eq!(found, built.digest[..whole(&image, &built)], "{what}");
            if image == built.killed {
                assert_eq!(report.verdict, Verdict::Unclosed, "{what}");
            }
        }
    }
}

#[test]
fn segments_ahead_of_a_hole_are_used_again_and_can_be_read() {
    // A group of many segments, of which the first one did not arrive: the others are zeroed and
    // come next, all of them.
    let builder = Builder::new();
    let run = builder.start("one");
    for _ in 0..5 {
        let mut tx = builder.store.begin();
        tx.append(&run, marker(&[1; 50_000])).unwrap();
        tx.submit(Durability::Buffered).unwrap().wait().unwrap();
    }
    let built = builder.finish();
    assert!(built.closed.segments() >= 5);
    let mut image = built.closed.clone();
    image.0.insert("MANIFEST".into(), built.killed.0["MANIFEST"].clone());
    // What vouches for the first segment would not be there either.
    for segment in 0..image.segments() {
        let from = if segment == 0 { places(&built.closed)[1].start } else { PAGE };
        image.segment_mut(segment)[from..].fill(0);
    }
    image.segment_mut(0)[places(&built.closed)[1].start + 8] = 1;
    let builder = Builder::on(&image);
    assert_eq!(builder.store.report().verdict, Verdict::Torn);
    let segments = builder.store.report().segments;
    assert!(segments >= 5);
    for i in 0..7u8 {
        builder.append(&run, &[i; 50_000], Durability::Sync);
        let history = builder.store.history(&run).unwrap();
        let last = history.rev().next().unwrap().unwrap();
        assert_eq!(last.payload(), [i; 50_000], "commit {i}");
        let stats = builder.store.stats().unwrap();
        assert_eq!(stats.accounted_bytes(), stats.file_bytes, "commit {i}");
    }
    builder.store.verify(|_| {}).unwrap();
    let built = builder.finish();
    let (report, found) = examine(&built.closed, "closed").opened("closed");
    assert_eq!((report.verdict, found), (Verdict::Clean, built.digest));
}
