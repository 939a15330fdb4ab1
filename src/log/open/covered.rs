//! The part of a log that an index has taken in, so that an opening need not read it again.

use crate::error::Result;
use crate::id::Position;
use crate::log::files::View;

/// The part of a log that an index has taken in: all commits up to one. It fits every log that has this very
/// commit at this very place, and no other: not a log that was cut before it, nor one that went on differently.
///
/// It is a durable mark: it may be stored only after the log was on the device up to the end of that commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Covered {
    /// The last commit that was taken in: where its frame begins.
    pub(crate) last: Position,
    /// The checksum of that frame. It depends on the segment's salt, the position, the epoch and the content.
    pub(crate) checksum: u32,
}

impl Covered {
    /// All commits of a log up to the one at `last`, which is read and verified.
    pub(crate) fn upto(view: &View, last: Position) -> Result<Self> {
        match view.commit_checksum(last)? {
            Some(checksum) => Ok(Covered { last, checksum }),
            None => Err(view.corrupt(last, "there is no commit that an index took in", 0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use kinlog_testing::files::{Image, directory};
    use tempfile::TempDir;

    use super::Covered;
    use crate::disk::{FileSystem, OpenMode};
    use crate::error::Result;
    use crate::event::Malformed;
    use crate::id::{Position, RunId, RunNumber};
    use crate::log::files::ManifestFile;
    use crate::log::format::frame::write_checksums;
    use crate::log::format::{Compacted, Frame, Identity, Paths, SegmentHeader};
    use crate::log::open::opening::{Opening, open};
    use crate::log::open::recovery::{Replay, Scan, Scanner};
    use crate::recorder::Recording;
    use crate::{NewRun, Options};

    /// Commits as they are replayed.
    #[derive(Default)]
    struct Seen(Vec<Position>);

    impl Replay for Seen {
        fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
            self.0.push(frame.position);
            Ok(())
        }

        fn compacted(&mut self, _: &SegmentHeader, _: &Compacted, _: bool) {}

        fn is_whole(&self) -> bool {
            true
        }

        fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
            let id = |number: &RunNumber| u128::from(number.as_u32()).to_le_bytes();
            numbers.iter().map(|number| RunId::from_bytes(id(number))).collect()
        }
    }

    /// A commit of a log: what an index covers that has taken it in last, and where it ends.
    struct Boundary {
        covered: Covered,
        end: Position,
    }

    /// A store that was shut down.
    struct Log {
        image: Image,
        /// The manifest while it was open.
        manifest: Vec<u8>,
        identity: Identity,
        commits: Vec<Boundary>,
    }

    impl Log {
        /// Goes on with `image`: commits of so many bytes.
        fn on(image: &Image, options: &Options, fill: u8, sizes: &[usize]) -> Self {
            let dir = directory();
            image.write(dir.path());
            let store = options.open(dir.path()).unwrap();
            let manifest = std::fs::read(dir.path().join("MANIFEST")).unwrap();
            for (number, size) in sizes.iter().enumerate() {
                let (id, input) = (format!("{fill}-{number}"), vec![fill; *size]);
                let mut tx = store.begin();
                tx.start(NewRun::new("shop", &id, "Order").input(&input)).unwrap();
                tx.commit().unwrap();
            }
            let view = store.shared.published.view();
            let commits = view.frames(Position::START).map(|frame| {
                let frame = frame.unwrap();
                let covered = Covered::upto(&view, frame.position).unwrap();
                Boundary { covered, end: frame.end() }
            });
            let commits = commits.collect();
            let identity = view.identity;
            store.shut_down().unwrap();
            let image = Image::read_but_lock(dir.path());
            Log { image, manifest, identity, commits }
        }

        fn new(options: &Options, fill: u8, sizes: &[usize]) -> Self {
            Self::on(&Image(Default::default()), options, fill, sizes)
        }

        /// Nothing but the frames vouches for anything.
        fn killed(&self) -> Image {
            let mut image = self.image.clone();
            *image.manifest_mut() = self.manifest.clone();
            image
        }

        fn place(&self, position: Position) -> (usize, usize) {
            let (segment, offset) = self.identity.locate(position);
            (segment as usize, offset)
        }

        /// The bytes of a commit in an image of the log.
        fn bytes<'i>(&self, image: &'i Image, commit: &Boundary) -> Option<&'i [u8]> {
            let (segment, start) = self.place(commit.covered.last);
            let (_, end) = self.place(commit.end);
            (segment < image.segments()).then(|| &image.segment(segment)[start..end])
        }

        /// Gives a commit another epoch, and its checksums.
        fn set_epoch(&self, image: &mut Image, commit: &Boundary, epoch: u32) {
            let (segment, start) = self.place(commit.covered.last);
            let (_, end) = self.place(commit.end);
            let bytes = image.segment_mut(segment);
            let salt: [u8; 16] = bytes[48..64].try_into().unwrap();
            let frame = &mut bytes[start..end];
            frame[8..12].copy_from_slice(&epoch.to_le_bytes());
            write_checksums(frame, &salt, commit.covered.last, Position::START);
        }

        /// The trailers of seals, by their positions.
        fn seals(&self) -> Vec<Covered> {
            let pairs = self.commits.windows(2);
            let rolls =
                pairs.filter(|pair| self.place(pair[0].end) != self.place(pair[1].covered.last));
            let seal = |pair: &[Boundary]| {
                let (segment, start) = self.place(pair[0].end);
                let trailer = &self.image.segment(segment)[start + 20..start + 24];
                let checksum = u32::from_le_bytes(trailer.try_into().unwrap());
                Covered { last: pair[0].end, checksum }
            };
            rolls.map(seal).collect()
        }

        /// Images of the log after everything that can befall it, and where it did.
        fn images(&self) -> Vec<(String, Image, Position)> {
            let start = self.identity.first_frame(0);
            let last = self.commits.last().unwrap();
            let mut images = vec![
                ("closed".into(), self.image.clone(), last.end),
                ("unclosed".into(), self.killed(), last.end),
            ];
            let mut add = |what: &str, image: Image, at: Position| {
                images.push((format!("{what} {at}"), image, at));
            };
            let (segment, end) = self.place(last.end);
            let mut torn = self.killed();
            torn.segment_mut(segment)[end - 40..].fill(0);
            add("torn", torn, last.covered.last);
            for image in [self.image.clone(), self.killed()] {
                let mut behind = image.clone();
                behind.segment_mut(segment)[end + 400] = 1;
                add("bytes behind the end", behind, last.end);
                let mut after_seal = image;
                *after_seal.segment_mut(1).last_mut().unwrap() = 1;
                add("bytes behind a seal", after_seal, start);
            }
            for commit in self.commits.iter().rev().step_by(3) {
                let (segment, offset) = self.place(commit.covered.last);
                for (what, into) in [("a header", 5), ("a payload", 30)] {
                    for mut image in [self.image.clone(), self.killed()] {
                        image.segment_mut(segment)[offset + into] ^= 4;
                        add(what, image, commit.covered.last);
                    }
                }
            }
            for seal in self.seals() {
                let (segment, offset) = self.place(seal.last);
                let mut image = self.killed();
                image.segment_mut(segment)[offset + 1] ^= 4;
                add("a seal", image, seal.last);
            }
            // In a segment of that epoch, after commits of the next one.
            let second = &self.commits[self.commits.len() * 2 / 5];
            let mut old_epoch = self.image.clone();
            self.set_epoch(&mut old_epoch, second, 1);
            add("an older epoch", old_epoch, second.covered.last);
            let mut cut = self.killed();
            for number in segment..cut.segments() {
                cut.0.remove(&kinlog_testing::files::segment_name(number));
            }
            add(
                "a segment is gone",
                cut,
                self.identity.first_frame(u32::try_from(segment).unwrap()),
            );
            images
        }
    }

    /// Three segments and a half, of two epochs.
    fn small_log() -> Log {
        let small = Options::new().segment_bytes(64 << 10);
        Log::on(&Log::new(&small, 7, &[7000; 10]).image, &small, 8, &[7000; 19])
    }

    /// Frames that are longer than what is read at once, and such that begin in one chunk and end in another.
    fn log_of_long_frames() -> Log {
        let options = Options::new().segment_bytes(1 << 20);
        Log::new(&options, 7, &[10, 300_000, 10, 100_000, 100_000, 100_000, 600_000, 10])
    }

    fn written(image: &Image) -> TempDir {
        let dir = directory();
        image.write(dir.path());
        dir
    }

    /// Reads a log; `None` if what is covered does not fit.
    fn scan(
        dir: &Path,
        published: Option<Position>,
        covered: Option<&Covered>,
    ) -> Option<Result<(Scan, Vec<Position>)>> {
        let (disk, paths) = (FileSystem::new(), Paths { root: dir.to_owned() });
        let manifest = ManifestFile::open(&disk, &paths, OpenMode::Read).unwrap().current;
        let mut scanner = match Scanner::new(&disk, &paths, &manifest, published) {
            Ok(scanner) => scanner,
            Err(error) => return Some(Err(error)),
        };
        if let Some(covered) = covered
            && !scanner.leave_out(covered).unwrap()
        {
            return None;
        }
        let mut seen = Seen::default();
        Some(scanner.run(&mut seen).map(|scan| (scan, seen.0)))
    }

    /// What must be found after `commit`, where `whole` is found in the whole log.
    fn rest_of(log: &Log, whole: &Result<(Scan, Vec<Position>)>, commit: &Boundary) -> String {
        let (scan, seen) = match whole {
            Ok(found) => found,
            Err(error) => return format!("{error:?}"),
        };
        let (segment, _) = log.identity.locate(commit.covered.last);
        let seen: Vec<_> = seen.iter().filter(|at| **at > commit.covered.last).copied().collect();
        let mut scan = Scan {
            segments: scan.segments.clone(),
            durable_upto: scan.durable_upto.max(commit.end),
            commits: seen.len() as u64,
            tail: scan.tail.clone(),
            ..*scan
        };
        if let Some(tail) = &mut scan.tail {
            tail.ranges.retain(|(number, _)| *number >= segment);
        }
        scan.tail = scan.tail.filter(|tail| !tail.ranges.is_empty());
        format!("{scan:?} {seen:?}")
    }

    fn shown(found: &Result<(Scan, Vec<Position>)>) -> String {
        match found {
            Ok((scan, seen)) => format!("{scan:?} {seen:?}"),
            Err(error) => format!("{error:?}"),
        }
    }

    /// Only damage to what is left out makes a difference.
    #[test]
    fn from_every_commit_the_rest_is_found_as_in_the_whole_log() {
        for (log, most) in [(small_log(), usize::MAX), (log_of_long_frames(), 3)] {
            let undamaged = |manifest: &[u8]| {
                let mut image = log.image.clone();
                *image.manifest_mut() = manifest.to_vec();
                scan(written(&image).path(), None, None).unwrap()
            };
            for (what, mut image, at) in log.images().into_iter().take(most) {
                let undamaged = undamaged(image.manifest_mut());
                let dir = written(&image);
                let whole = scan(dir.path(), None, None).unwrap();
                for commit in &log.commits {
                    let last = commit.covered.last;
                    let found = scan(dir.path(), None, Some(&commit.covered));
                    let intact = log.bytes(&image, commit) == log.bytes(&log.image, commit);
                    assert_eq!(found.is_some(), intact, "{what}, from {last}");
                    let Some(found) = found else { continue };
                    let expected = if last > at && whole.is_err() { &undamaged } else { &whole };
                    let expected = rest_of(&log, expected, commit);
                    assert_eq!(shown(&found), expected, "{what}, from {last}");
                }
            }
        }
    }

    #[test]
    fn beside_a_writer_it_fits_only_what_is_published() {
        let log = small_log();
        let dir = written(&log.killed());
        for published in log.commits.iter().step_by(5) {
            let whole = scan(dir.path(), Some(published.end), None).unwrap();
            for commit in &log.commits {
                let found = scan(dir.path(), Some(published.end), Some(&commit.covered));
                assert_eq!(found.is_some(), commit.end <= published.end);
                if let Some(found) = found {
                    assert_eq!(shown(&found), rest_of(&log, &whole, commit));
                }
            }
        }
    }

    #[test]
    fn no_other_log_fits() {
        let small = Options::new().segment_bytes(64 << 10);
        let older = Log::new(&small, 1, &[7000; 12]);
        let newer = Log::on(&older.image, &small, 2, &[7000; 12]);
        let branch = Log::on(&older.image, &small, 3, &[7000; 12]);
        let stranger = Log::new(&small, 1, &[7000; 24]);
        let common = older.commits.len();
        for (log, fitting) in [(&newer, 24), (&older, common), (&branch, common), (&stranger, 0)] {
            let dir = written(&log.image);
            let fits = |commit: &Boundary| scan(dir.path(), None, Some(&commit.covered)).is_some();
            let found: Vec<_> = newer.commits.iter().map(fits).collect();
            let expected: Vec<_> = (0..24).map(|number| number < fitting).collect();
            assert_eq!(found, expected);
        }
    }

    /// Numbers as they may stand in a file that nothing has checked.
    #[test]
    fn no_place_without_a_commit_fits() {
        let log = small_log();
        let dir = written(&log.image);
        let checksum = log.commits[0].covered.checksum;
        let ends = log.commits.iter().map(|commit| commit.end);
        let others = [0, 4, 4095, (64 << 10) - 4, 64 << 10, 1 << 47, u64::MAX - 3, u64::MAX];
        for last in ends.chain(others.map(Position::from_u64)) {
            assert!(scan(dir.path(), None, Some(&Covered { last, checksum })).is_none(), "{last}");
        }
        for commit in &log.commits {
            let covered = Covered { checksum: commit.covered.checksum ^ 1, ..commit.covered };
            assert!(scan(dir.path(), None, Some(&covered)).is_none());
        }
        let seals = log.seals();
        assert!(!seals.is_empty());
        for seal in seals {
            assert!(scan(dir.path(), None, Some(&seal)).is_none(), "a seal is no commit");
        }
    }

    fn opening(dir: &Path, read_only: bool) -> Opening {
        Opening {
            disk: Arc::new(FileSystem::new()),
            paths: Paths { root: dir.to_owned() },
            create: !read_only,
            read_only,
            segment_bytes: 64 << 10,
            refuse_ambiguous: true,
            check_log: false,
            recording: Recording::default(),
        }
    }

    #[test]
    fn a_store_is_opened_from_every_commit() {
        let log = small_log();
        let end = log.commits.last().unwrap().end;
        for (number, commit) in log.commits.iter().enumerate() {
            for read_only in [true, false] {
                let dir = written(&log.killed());
                let opening = opening(dir.path(), read_only);
                let mut seen = Seen::default();
                let opened = open(&opening, Some(&commit.covered), &mut seen).unwrap().unwrap();
                let rest = log.commits[number + 1..].iter().map(|commit| commit.covered.last);
                assert_eq!(seen.0, rest.collect::<Vec<_>>());
                assert_eq!((opened.report.end, opened.report.commits), (end, seen.0.len() as u64));
                let view = opened.published.view();
                assert_eq!(view.frames(Position::START).count(), log.commits.len());
            }
        }
    }

    #[test]
    fn an_opening_that_does_not_fit_changes_nothing() {
        let log = small_log();
        let covered = Covered { checksum: 1, ..log.commits[9].covered };
        for read_only in [true, false] {
            let dir = written(&log.killed());
            let opening = opening(dir.path(), read_only);
            let mut seen = Seen::default();
            assert!(open(&opening, Some(&covered), &mut seen).unwrap().is_none());
            assert_eq!(seen.0, []);
            log.killed().assert_same(&Image::read_but_lock(dir.path()), "the store");
            assert!(open(&opening, None, &mut seen).unwrap().is_some(), "it is not locked");
        }
        let dir = directory();
        let opening = opening(dir.path(), false);
        assert!(open(&opening, Some(&covered), &mut Seen::default()).unwrap().is_none());
        assert!(!dir.path().join("MANIFEST").exists(), "no store is created");
    }
}
