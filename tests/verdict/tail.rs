//! Bytes where no frame is: after the end, behind a seal, in a segment that is only prepared.

use kinlog::{Durability, Verdict};
use kinlog_testing::Rng;
use kinlog_testing::files::*;

use super::support::*;

/// Two segments in use, the second more than half, and a third one prepared.
pub(crate) fn long() -> Built {
    let builder = Builder::new();
    let run = builder.start("one");
    for len in [20_000, 30_000, 10, 10, 20_000, 15_000] {
        builder.append(&run, &vec![0x5a; len], Durability::Sync);
    }
    let built = builder.finish();
    assert_eq!(built.closed.segments(), 3);
    // The third segment may not have been there yet when the copy was made.
    let mut killed = built.closed.clone();
    killed.0.insert("MANIFEST".into(), built.killed.0["MANIFEST"].clone());
    Built { killed, ..built }
}

fn garbage(random: &mut Rng, len: usize) -> Vec<u8> {
    // Neither end is zero, so that its extent is known.
    let mut bytes: Vec<u8> = (0..len).map(|_| random.byte()).collect();
    bytes[0] |= 1;
    bytes[len - 1] |= 1;
    bytes
}

#[test]
fn nothing_but_zeros_after_the_end_is_clean_or_unclosed() {
    let built = long();
    let (report, found) = examine(&built.closed, "closed").opened("closed");
    assert_eq!((report.verdict, &found), (Verdict::Clean, &built.digest));
    let (report, found) = examine(&built.killed, "killed").opened("killed");
    assert_eq!((report.verdict, &found), (Verdict::Unclosed, &built.digest));
}

#[test]
fn bytes_after_the_end_are_healed_and_never_called_clean() {
    let built = long();
    let mut random = Rng::new(0x7a11);
    let last = *places(&built.killed).last().unwrap();
    let next = places(&built.killed).iter().filter(|p| p.segment == 2).count();
    assert_eq!((last.segment, next), (1, 0));
    let spots = [(1, last.end), (1, last.end + 4), (1, last.end + 100), (1, last.end + 5000)];
    let prepared = [(2, PAGE), (2, PAGE + 300), (2, SEGMENT - 64)];
    for (segment, offset) in spots.into_iter().chain(prepared) {
        for len in 1..=64 {
            let bytes = garbage(&mut random, len);
            for (closed, whole) in [(true, &built.closed), (false, &built.killed)] {
                let mut image = whole.clone();
                image.segment_mut(segment)[offset..offset + len].copy_from_slice(&bytes);
                let what = format!("{len} B at {offset} of segment {segment}, closed: {closed}");
                let (report, found) = examine(&image, &what).opened(&what);
                assert_eq!(found, built.digest, "{what}");
                let at_the_end = (segment, offset) == (last.segment, last.end);
                let check_missing = !at_the_end || len < 4 && bytes.iter().all(|b| *b == 0);
                let torn = closed || check_missing;
                let expected = if torn { Verdict::Torn } else { Verdict::Ambiguous };
                assert_eq!(report.verdict, expected, "{what}");
            }
        }
    }
}

#[test]
fn bytes_behind_a_seal_are_healed_and_never_called_clean() {
    let built = long();
    let seal = *places(&built.closed).iter().find(|place| place.seal).unwrap();
    for offset in [seal.end, seal.end + 1, seal.end + 1000, SEGMENT - 1] {
        for whole in [&built.closed, &built.killed] {
            let mut image = whole.clone();
            image.segment_mut(seal.segment)[offset] = 1;
            let what = format!("a byte at {offset}, the seal ends at {}", seal.end);
            let (report, found) = examine(&image, &what).opened(&what);
            assert_eq!((report.verdict, found), (Verdict::Torn, built.digest.clone()), "{what}");
        }
    }
}
