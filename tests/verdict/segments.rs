//! Segments that are not where they belong, or not as they were.

use kinlog::Durability;
use kinlog_testing::files::*;

use super::support::*;
use super::tail::long;

#[test]
fn a_missing_segment_is_refused_unless_it_was_only_prepared() {
    let built = long();
    for whole in [&built.closed, &built.killed] {
        for segment in 0..3 {
            let mut image = whole.clone();
            image.0.remove(&segment_name(segment));
            let what = format!("without segment {segment}");
            match examine(&image, &what) {
                Outcome::Opened(_, found) => {
                    assert_eq!((segment, &found), (2, &built.digest), "{what}");
                }
                Outcome::Refused(corruption) => {
                    assert!(segment < 2, "{what}: {corruption}");
                    assert!(corruption.path.ends_with(segment_name(segment)), "{what}");
                }
                Outcome::Failed(error) => panic!("{what}: {error}"),
            }
        }
        let mut image = whole.clone();
        image.0.retain(|name, _| !name.starts_with("log/"));
        examine(&image, "without any segment").refused("without any segment");
    }
}

#[test]
fn segments_in_each_others_place_are_refused() {
    let (built, foreign) = (long(), long());
    for a in 0..3 {
        for b in 0..3 {
            let mut image = built.closed.clone();
            let name = segment_name(a);
            // Another store's segment of the same or of another number, or this store's own.
            image.0.insert(name.clone(), foreign.closed.segment(b).to_vec());
            let what = format!("a foreign {b} in place of {a}");
            let corruption = examine(&image, &what).refused(&what);
            assert!(corruption.path.ends_with(&name), "{what}: {corruption}");
            if a != b {
                image.0.insert(name.clone(), built.closed.segment(b).to_vec());
                let what = format!("{b} in place of {a}");
                let corruption = examine(&image, &what).refused(&what);
                assert!(corruption.path.ends_with(&name), "{what}: {corruption}");
                image.0.insert(segment_name(b), built.closed.segment(a).to_vec());
                let what = format!("{a} and {b} swapped");
                examine(&image, &what).refused(&what);
            }
        }
    }
    let mut image = built.closed.clone();
    image.0.insert(segment_name(3), built.closed.segment(1).to_vec());
    let corruption = examine(&image, "a copy of 1 as 3").refused("a copy of 1 as 3");
    assert!(corruption.path.ends_with(segment_name(3)), "{corruption}");
}

#[test]
fn an_older_copy_of_a_segment_is_refused_or_everything_is_there() {
    let builder = Builder::new();
    let run = builder.start("one");
    let mut copies = vec![];
    for i in 0..14u8 {
        builder.append(&run, &[i; 11_000], Durability::Sync);
        copies.push(builder.killed());
    }
    let built = builder.finish();
    let segments = built.closed.segments();
    assert!(segments >= 3);
    let mut outcomes = [0; 2];
    for (age, copy) in copies.iter().enumerate() {
        for segment in 0..copy.segments() {
            let mut image = built.closed.clone();
            image.0.insert(segment_name(segment), copy.segment(segment).to_vec());
            let what = format!("segment {segment} as of commit {age}");
            match examine(&image, &what) {
                Outcome::Opened(_, found) => {
                    assert_eq!(found, built.digest, "{what}");
                    outcomes[0] += 1;
                }
                Outcome::Refused(corruption) => {
                    assert!(corruption.path.ends_with(segment_name(segment)), "{what}");
                    outcomes[1] += 1;
                }
                Outcome::Failed(error) => panic!("{what}: {error}"),
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 5), "{outcomes:?}");
}

#[test]
fn a_segment_of_before_it_was_healed_does_not_bring_anything_back() {
    let builder = Builder::new();
    let run = builder.start("one");
    let kept = digest(&builder.store);
    for i in 0..3u8 {
        builder.append(&run, &[i + 1; 40], Durability::Buffered);
    }
    let built = builder.finish();
    let old = places(&built.killed);
    // The first of three commits is damaged: all three are healed away.
    let mut image = built.killed.clone();
    image.segment_mut(0)[old[1].start..old[2].start].fill(0);
    let builder = Builder::on(&image);
    assert_eq!(digest(&builder.store), kept);
    let healed = builder.killed();
    builder.append(&run, &[9; 40], Durability::Sync);
    let again = builder.finish();
    let new = places(&again.closed);
    assert_eq!(new[1], old[1], "the new commit takes the place of the lost one");
    for frames in [1..2, 1..3, 2..3] {
        for (frame, offset) in [(true, old[2].start), (false, old[1].start)] {
            // Once behind the new commit; once where there is no new commit yet, all three whole.
            let (base, kept) =
                if frame { (&again.killed, &again.digest) } else { (&healed, &kept) };
            let (from, to) = (old[1 + frames.start].start, old[frames.end].end);
            let mut image = base.clone();
            let bytes = built.killed.segment(0)[from..to].to_vec();
            image.segment_mut(0)[from..to].copy_from_slice(&bytes);
            if !frame {
                let bytes = built.killed.segment(0)[offset..to].to_vec();
                image.segment_mut(0)[offset..to].copy_from_slice(&bytes);
            }
            let what = format!("frames {frames:?} of before, behind a new one: {frame}");
            match examine(&image, &what) {
                Outcome::Opened(_, found) => assert_eq!(&found, kept, "{what}"),
                Outcome::Refused(_) => {}
                Outcome::Failed(error) => panic!("{what}: {error}"),
            }
        }
    }
}
