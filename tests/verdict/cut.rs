//! The last frame, written in part.

use kinlog::{Durability, OnAmbiguous, Verdict};
use kinlog_testing::Rng;
use kinlog_testing::files::*;
use kinlog_testing::steps::marker;

use super::support::*;

/// Three commits, each synced by itself; the last one touches two runs and a row.
fn three() -> Built {
    let builder = Builder::new();
    let (one, two) = (builder.start("one"), builder.start("two"));
    let mut tx = builder.store.begin();
    tx.append(&one, marker(b"last of one")).unwrap();
    tx.append(&two, marker(b"last of two, and more")).unwrap();
    tx.put("t", b"key", b"value").unwrap();
    tx.commit().unwrap();
    builder.finish()
}

/// What an unvouched frame is of which only the first `kept` bytes were written.
fn expected(frame: &[u8], kept: usize) -> Verdict {
    let mut bytes = frame.to_vec();
    bytes[kept..].fill(0);
    let (check, trailer) = (&bytes[..4], &bytes[frame.len() - 4..]);
    if bytes.iter().all(|byte| *byte == 0) || bytes == frame {
        Verdict::Unclosed
    } else if *check == [0; 4] || (bytes[..20] == frame[..20] && *trailer == [0; 4]) {
        Verdict::Torn
    } else {
        Verdict::Ambiguous
    }
}

#[test]
fn a_last_frame_that_nothing_vouches_for_is_kept_whole_or_healed_at_every_byte() {
    let built = three();
    let last = *places(&built.killed).last().unwrap();
    let frame = built.killed.segment(0)[last.start..last.end].to_vec();
    let mut seen = [0; 3];
    for kept in 0..=frame.len() {
        let mut image = built.killed.clone();
        image.segment_mut(0)[last.start + kept..].fill(0);
        let what = format!("cut at {kept} of {}", frame.len());
        let (report, found) = examine(&image, &what).opened(&what);
        let expected = expected(&frame, kept);
        assert_eq!(report.verdict, expected, "{what}");
        let whole = image == built.killed;
        assert_eq!(found, built.digest[..if whole { 3 } else { 2 }], "{what}");
        let dirty = image.segment(0)[last.start..last.end].iter().rposition(|b| *b != 0);
        let removed = if whole { 0 } else { dirty.map_or(0, |last| last + 1) };
        assert_eq!(report.removed_bytes, removed as u64, "{what}");
        seen[match expected {
            Verdict::Unclosed => 0,
            Verdict::Torn => 1,
            _ => 2,
        }] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn an_ambiguous_log_is_refused_if_asked_and_nothing_is_changed() {
    let built = three();
    let last = *places(&built.killed).last().unwrap();
    for (kept, refused) in [(10, true), (last.end - last.start - 8, false)] {
        let mut image = built.killed.clone();
        image.segment_mut(0)[last.start + kept..].fill(0);
        let dir = directory();
        image.write_killed(dir.path());
        match small_segments().on_ambiguous(OnAmbiguous::Refuse).open(dir.path()) {
            Err(kinlog::Error::Corrupt(corruption)) if refused => {
                assert_eq!(corruption.offset, last.start as u64);
                Image::read_but_lock(dir.path()).assert_same(&image, "refused");
            }
            Ok(store) if !refused => assert_eq!(store.report().verdict, Verdict::Torn),
            other => panic!("cut at {kept}: {other:?}"),
        }
    }
}

#[test]
fn a_cut_frame_is_refused_where_the_manifest_vouches_for_it() {
    let built = three();
    let last = *places(&built.closed).last().unwrap();
    let whole = built.closed.segment(0).to_vec();
    let mut image = built.closed.clone();
    let dir = directory();
    for kept in 0..last.end - last.start {
        image.segment_mut(0)[last.start + kept..].fill(0);
        if image == built.closed {
            continue;
        }
        image.write_killed(dir.path());
        let what = format!("cut at {kept}");
        let corruption = examine_in(dir.path(), &image, &what).refused(&what);
        assert!(corruption.path.ends_with(segment_name(0)), "{what}: {corruption}");
        assert_eq!(corruption.offset, last.start as u64, "{what}");
        *image.segment_mut(0) = whole.clone();
    }
}

#[test]
fn a_cut_frame_is_refused_where_a_later_frame_vouches_for_it() {
    let built = three();
    let places = places(&built.killed);
    let dir = directory();
    for (frame, place) in places[..2].iter().enumerate() {
        for kept in 0..place.end - place.start {
            let mut image = built.killed.clone();
            image.segment_mut(0)[place.start + kept..place.end].fill(0);
            if image == built.killed {
                continue;
            }
            image.write_killed(dir.path());
            let what = format!("frame {frame} cut at {kept}");
            let corruption = examine_in(dir.path(), &image, &what).refused(&what);
            assert!(corruption.path.ends_with(segment_name(0)), "{what}: {corruption}");
            assert_eq!(corruption.offset, place.start as u64, "{what}");
        }
    }
}

#[test]
fn a_segment_that_is_too_short_or_too_long_is_refused() {
    let built = three();
    let last = *places(&built.killed).last().unwrap();
    let lengths = (last.start..=last.end).chain([0, 1, 72, PAGE - 1, PAGE, SEGMENT - 1]);
    let dir = directory();
    for len in lengths.chain([SEGMENT + 1, 2 * SEGMENT]) {
        for whole in [&built.killed, &built.closed] {
            let mut image = whole.clone();
            image.segment_mut(0).resize(len, 0);
            image.write_killed(dir.path());
            let what = format!("{len} bytes");
            let corruption = examine_in(dir.path(), &image, &what).refused(&what);
            assert!(corruption.path.ends_with(segment_name(0)), "{what}: {corruption}");
            // Where the header is cut too, nothing says how long the segment is.
            let expected = if len < PAGE { PAGE } else { SEGMENT };
            assert_eq!((corruption.expected, corruption.found), (expected as u64, len as u64));
        }
    }
}

#[test]
fn three_crashes_in_a_row_lose_nothing_that_was_acknowledged() {
    let mut random = Rng::new(0x3c4a_5b00);
    for _ in 0..25 {
        let builder = Builder::new();
        let run = builder.start("one");
        let mut kept = digest(&builder.store);
        let mut image = builder.killed();
        for crash in 0..3 {
            let builder = Builder::on(&image);
            assert_eq!(digest(&builder.store), kept, "crash {crash}");
            for _ in 0..random.below(4) {
                builder.append(&run, &vec![5; random.below(12_000)], Durability::Sync);
            }
            kept = digest(&builder.store);
            // One commit more, of which only a part arrives.
            builder.append(&run, &vec![6; random.below(3000)], Durability::Sync);
            image = builder.killed();
            let last = *places(&image).iter().rfind(|place| !place.seal).unwrap();
            let cut = last.start + random.below(last.end - last.start - 1);
            image.segment_mut(last.segment)[cut..].fill(0);
        }
        let (_, found) = examine(&image, "the last crash").opened("the last crash");
        assert_eq!(found, kept);
    }
}
