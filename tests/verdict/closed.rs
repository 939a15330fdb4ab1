//! What an opening looks at behind the end of a log that was shut down: where the log could have gone on.

use kinlog::{Durability, Options, Verdict};
use kinlog_testing::files::*;

use super::support::*;

/// How much an opening looks at, at the end and in each segment behind it.
const LOOKED_AT: usize = 64 << 10;
const STRAY: u8 = 0xa5;

fn longer_segments() -> Options {
    Options::new().segment_bytes(u32::try_from(4 * SEGMENT).unwrap())
}

/// A store that was shut down while its log was in its second segment, and where it ends there.
fn closed() -> (Built, usize) {
    let builder = Builder::with(&longer_segments(), &Image(Default::default()));
    let run = builder.start("one");
    for len in [40_000, 30_000, 700] {
        builder.append(&run, &vec![0x5a; len], Durability::Sync);
    }
    let built = builder.finish();
    let last = *places(&built.closed).last().unwrap();
    assert_eq!((last.segment, built.closed.segments()), (1, 3));
    assert!(last.end + LOOKED_AT < built.closed.segment(1).len());
    (built, last.end)
}

#[test]
fn a_byte_behind_the_end_is_found_where_the_log_could_have_gone_on() {
    let (built, end) = closed();
    let in_second = [0, 1, 4, 100, LOOKED_AT - 1].map(|at| (1, end + at));
    let in_third = [0, 1, 100, LOOKED_AT - 1].map(|at| (2, PAGE + at));
    for (segment, offset) in in_second.into_iter().chain(in_third) {
        let what = format!("a byte at {offset} of segment {segment}");
        let mut image = built.closed.clone();
        image.segment_mut(segment)[offset] = STRAY;
        let (report, found) = examine(&image, &what).opened(&what);
        assert_eq!((report.verdict, found), (Verdict::Torn, built.digest.clone()), "{what}");
    }
}

#[test]
fn a_byte_further_behind_is_no_data_and_is_found_by_reading_all() {
    let (built, end) = closed();
    let len = built.closed.segment(1).len();
    let in_second = [end + LOOKED_AT, len - 5000, len - 1].map(|at| (1, at));
    let in_third = [PAGE + LOOKED_AT, len - 1].map(|at| (2, at));
    for (segment, offset) in in_second.into_iter().chain(in_third) {
        let what = format!("a byte at {offset} of segment {segment}");
        let mut image = built.closed.clone();
        image.segment_mut(segment)[offset] = STRAY;
        let dir = directory();
        image.write_killed(dir.path());
        for read_only in [true, false] {
            let store = Options::new().read_only(read_only).open(dir.path()).unwrap();
            assert_eq!(store.report().verdict, Verdict::Clean, "{what}");
            assert_eq!(digest(&store), built.digest, "{what}");
            store.shut_down().unwrap();
        }
        let all = Options::new().check_log(true).open(dir.path()).unwrap();
        assert_eq!(all.report().verdict, Verdict::Torn, "{what}");
        all.shut_down().unwrap();
        assert_eq!(Image::read_but_lock(dir.path()).segment(segment)[offset], 0, "{what}");

        let killed = goes_on_over(&image);
        let (report, found) = examine(&killed.0, &what).opened(&what);
        assert!(matches!(report.verdict, Verdict::Unclosed | Verdict::Torn), "{what}");
        assert_eq!(found, killed.1, "{what}");
    }
}

/// The log goes on through whatever is there, until it ends in the next segment; the process is killed then.
fn goes_on_over(image: &Image) -> (Image, Digest) {
    let builder = Builder::with(&longer_segments(), image);
    let run = builder.start("another");
    let fourth = builder.dir.path().join(segment_name(3));
    while !fourth.exists() {
        builder.append(&run, &[0x5a; 30_000], Durability::Sync);
    }
    (builder.killed(), digest(&builder.store))
}

/// Files that were copied one after the other, while a store was opened and went on: the manifest and the index first.
#[test]
fn a_log_that_went_on_after_its_manifest_was_copied_is_refused() {
    let (built, _) = closed();
    for segments in [0..3, 1..2, 2..3] {
        let what = format!("segments {segments:?} are newer");
        let (later, _) = goes_on_over(&built.closed);
        let mut image = built.closed.clone();
        for segment in segments {
            *image.segment_mut(segment) = later.segment(segment).to_vec();
        }
        let refused = examine(&image, &what).refused(&what);
        assert_eq!(refused.what, "the manifest is older than the log", "{what}");
    }
}

/// The manifest vouches for the same end in both cases, but of a log that was not shut down more may have been written.
#[test]
fn all_free_space_is_read_behind_a_log_that_was_not_shut_down() {
    let (built, end) = closed();
    let mut image = Builder::with(&longer_segments(), &built.closed).killed();
    let offset = end + 2 * LOOKED_AT;
    image.segment_mut(1)[offset] = STRAY;
    let (report, found) = examine(&image, "killed").opened("killed");
    assert_eq!((report.verdict, found), (Verdict::Torn, built.digest));
}
