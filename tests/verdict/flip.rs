//! One bit, anywhere.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use kinlog::{Durability, RunId, Verdict};
use kinlog_testing::files::*;
use kinlog_testing::steps::marker;

use super::support::*;
use super::tail::long;

/// A segment with many small commits of three runs, full of one large one; a second segment with
/// more. Returns, for each commit, the run it touches.
fn small() -> (Built, Vec<Option<RunId>>) {
    let builder = Builder::new();
    let runs = [builder.start("one"), builder.start("two"), builder.start("three")];
    let mut touched = vec![None; 3];
    let payload: Vec<u8> = (1..=40).collect();
    for i in 0..6 {
        // The large one is zeros: quick to look through for frames.
        let len = [0, 0, 0, 60_000, 1_000, 0][i];
        let zeros = vec![0; len];
        let payload = if len > 0 { &zeros } else { &payload };
        builder.append(&runs[i % 3], payload, Durability::Sync);
        touched.push(Some(runs[i % 3]));
    }
    let built = builder.finish();
    assert!(places(&built.closed).iter().any(|place| place.segment == 1 && !place.seal));
    (built, touched)
}

fn flip(dir: &std::path::Path, image: &mut Image, name: &str, offset: usize, bit: usize) {
    let bytes = image.0.get_mut(name).unwrap();
    bytes[offset] ^= 1 << bit;
    let file = OpenOptions::new().write(true).open(dir.join(name)).unwrap();
    file.write_all_at(&bytes[offset..=offset], offset as u64).unwrap();
}

#[test]
fn a_bit_in_an_acknowledged_frame_is_refused_and_the_frame_and_its_run_are_named() {
    let (built, touched) = small();
    let mut image = built.closed.clone();
    let dir = directory();
    image.write_killed(dir.path());
    let mut commits = 0;
    let mut count = 0;
    for place in places(&built.closed) {
        let run = if place.seal { None } else { touched[commits] };
        commits += usize::from(!place.seal);
        // Every byte of small frames and of both ends of large ones; some in between.
        let len = place.end - place.start;
        let offsets =
            (0..len).filter(|at| len < 2000 || *at < 64 || len - at < 64 || at % 997 == 0);
        for at in offsets {
            let offset = place.start + at;
            let name = segment_name(place.segment);
            let bits = if place.seal || commits == 4 { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                flip(dir.path(), &mut image, &name, offset, bit);
                let what = format!("bit {bit} of byte {at} of {place:?}");
                let corruption = examine_in(dir.path(), &image, &what).refused(&what);
                assert!(corruption.path.ends_with(&name), "{what}: {corruption}");
                assert_eq!(corruption.offset, place.start as u64, "{what}");
                // The payload of the marker: the batch and the event around it can be read.
                let in_payload = (20 + 20 + 16..len - 8).contains(&at);
                if let Some(run) = run.filter(|_| in_payload) {
                    assert_eq!(corruption.runs, [run], "{what}");
                } else if run.is_some() && at >= 20 + 20 {
                    assert!(corruption.runs.iter().all(|found| Some(*found) == run), "{what}");
                }
                flip(dir.path(), &mut image, &name, offset, bit);
                count += 1;
            }
        }
    }
    assert!(count > 2000, "{count}");
}

#[test]
fn a_bit_in_a_frame_that_only_a_later_frame_vouches_for_is_refused() {
    let (built, _) = small();
    let mut image = built.killed.clone();
    let dir = directory();
    image.write_killed(dir.path());
    let places = places(&built.killed);
    for place in &places[..places.len() - 1] {
        let len = place.end - place.start;
        for at in (0..len).filter(|at| (at % 7 == 0 && len < 2000) || *at < 20 || len - at < 8) {
            let name = segment_name(place.segment);
            flip(dir.path(), &mut image, &name, place.start + at, at % 8);
            let what = format!("byte {at} of {place:?}");
            let corruption = examine_in(dir.path(), &image, &what).refused(&what);
            assert!(corruption.path.ends_with(&name), "{what}: {corruption}");
            assert_eq!(corruption.offset, place.start as u64, "{what}");
            flip(dir.path(), &mut image, &name, place.start + at, at % 8);
        }
    }
}

#[test]
fn a_bit_in_the_last_frame_that_nothing_vouches_for_is_healed_as_ambiguous() {
    let (built, _) = small();
    let place = *places(&built.killed).last().unwrap();
    for at in 0..place.end - place.start {
        let mut image = built.killed.clone();
        image.segment_mut(place.segment)[place.start + at] ^= 1 << (at % 8);
        let what = format!("byte {at} of {place:?}");
        let (report, found) = examine(&image, &what).opened(&what);
        assert_eq!(report.verdict, Verdict::Ambiguous, "{what}");
        assert_eq!(found, built.digest[..built.digest.len() - 1], "{what}");
    }
}

#[test]
fn only_runs_that_the_damage_touches_are_named() {
    // Two runs in the first segment; both go on in the second one.
    let builder = Builder::new();
    let (one, two) = (builder.start("one"), builder.start("two"));
    builder.append(&one, &[1; 1000], Durability::Sync);
    builder.append(&two, &[0; 50_000], Durability::Sync);
    let mut tx = builder.store.begin();
    tx.append(&one, marker(&[3; 5000])).unwrap();
    tx.append(&two, marker(&[3; 5000])).unwrap();
    tx.commit().unwrap();
    let built = builder.finish();
    let place = places(&built.closed)[2];
    let mut image = built.closed.clone();
    // The batch itself is beyond reading: only what points back to it tells whose it was.
    image.segment_mut(0)[place.start..place.start + 500].fill(0xff);
    let corruption = examine(&image, "damaged").refused("damaged");
    assert_eq!(corruption.offset, place.start as u64);
    assert_eq!(corruption.runs, [one]);
}

#[test]
fn a_bit_in_a_segments_header_is_refused_at_every_byte() {
    let built = long();
    let mut image = built.closed.clone();
    let dir = directory();
    image.write_killed(dir.path());
    for segment in 0..image.segments() {
        for offset in (0..80).chain((80..PAGE).step_by(29)).chain([PAGE - 1]) {
            let bits = if offset < 80 { 0..8 } else { offset % 8..offset % 8 + 1 };
            for bit in bits {
                let name = segment_name(segment);
                flip(dir.path(), &mut image, &name, offset, bit);
                let what = format!("bit {bit} of byte {offset} of segment {segment}");
                let corruption = examine_in(dir.path(), &image, &what).refused(&what);
                assert!(corruption.path.ends_with(&name), "{what}: {corruption}");
                assert!(corruption.offset <= offset as u64, "{what}: {corruption}");
                flip(dir.path(), &mut image, &name, offset, bit);
            }
        }
    }
}

#[test]
fn a_bit_in_free_space_is_healed_and_reported() {
    let built = long();
    let places = places(&built.closed);
    let mut free = vec![];
    for segment in 0..built.closed.segments() {
        let end = places.iter().filter(|p| p.segment == segment).map(|p| p.end).max();
        let end = end.unwrap_or(PAGE);
        free.extend((end..end + 40).chain((end + 40..SEGMENT).step_by(4099)).map(|o| (segment, o)));
    }
    for (i, (segment, offset)) in free.into_iter().enumerate() {
        for (whole, closed) in [(&built.closed, true), (&built.killed, false)] {
            let mut image = whole.clone();
            image.segment_mut(segment)[offset] ^= 1 << (i % 8);
            let what = format!("byte {offset} of segment {segment}, closed: {closed}");
            let (report, found) = examine(&image, &what).opened(&what);
            assert!(matches!(report.verdict, Verdict::Torn | Verdict::Ambiguous), "{what}");
            assert_eq!(found, built.digest, "{what}");
        }
    }
}
