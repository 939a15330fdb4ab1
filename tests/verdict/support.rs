//! Stores as bytes: built once, damaged in memory, written out and opened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kinlog::error::Corruption;
use kinlog::{
    CommitView, Durability, Error, NewRun, OpenReport, Options, Position, RunId, Store, Verdict,
};
use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, small_segments};
use kinlog_testing::steps::marker;
use tempfile::TempDir;

/// The bytes of a frame besides its payload.
pub(crate) const OVERHEAD: usize = 24;

/// A frame as it lies in a segment file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) seal: bool,
}

/// The frames of an undamaged image, seals too, found by their lengths.
pub(crate) fn places(image: &Image) -> Vec<Place> {
    let mut places = vec![];
    for segment in 0..image.segments() {
        let bytes = image.segment(segment);
        let mut start = PAGE;
        while start + OVERHEAD <= bytes.len() && bytes[start..start + 4] != [0; 4] {
            let len = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap());
            let end = start + len as usize + OVERHEAD;
            let seal = bytes[start + 16] == 2;
            places.push(Place { segment, start, end, seal });
            if seal {
                break;
            }
            start = end;
        }
    }
    places
}

/// A store's content, one line for each commit: what must be the same after every recovery.
pub(crate) type Digest = Vec<String>;

pub(crate) fn digest(store: &Store) -> Digest {
    let mut tail = store.tail(Position::START);
    let mut lines = vec![];
    while let Some(commit) = tail.try_next().unwrap() {
        lines.push(line(&commit));
    }
    lines
}

fn line(commit: &CommitView) -> String {
    let mut line = format!("@{}", commit.position());
    for batch in commit.batches().map(Result::unwrap) {
        line += &format!(" {}:", batch.run());
        for event in batch.events() {
            let event = event.unwrap();
            let (len, sum) = (event.payload().len(), crc32fast::hash(event.payload()));
            line += &format!(" {}/{}/{len}/{sum:x}", event.id(), event.kind());
        }
    }
    for row in commit.rows() {
        line += &format!(" {}[{:x?}]={:x?}", row.table, row.key, row.value);
    }
    line
}

/// A store that was killed or closed, in several states of what vouches for its last commits.
pub(crate) struct Built {
    /// The files right after the last commit, with the manifest from right after opening: nothing
    /// but the log vouches for anything.
    pub(crate) killed: Image,
    /// The files after a clean close.
    pub(crate) closed: Image,
    pub(crate) digest: Digest,
}

/// A store in the making.
pub(crate) struct Builder {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    manifest: Vec<u8>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::with(&small_segments(), &Image(BTreeMap::new()))
    }

    /// Goes on with an image, healing it if need be.
    pub(crate) fn on(image: &Image) -> Self {
        Self::with(&small_segments(), image)
    }

    /// The same, with other options.
    pub(crate) fn with(options: &Options, image: &Image) -> Self {
        let dir = directory();
        if !image.0.is_empty() {
            image.write_killed(dir.path());
        }
        let store = options.open(dir.path()).unwrap();
        let manifest = fs::read(dir.path().join("MANIFEST")).unwrap();
        Builder { dir, store, manifest }
    }

    /// As if the process were killed now.
    pub(crate) fn killed(&self) -> Image {
        let mut image = Image::read_but_lock(self.dir.path());
        *image.manifest_mut() = self.manifest.clone();
        // The next segment may be in the making.
        image.0.remove("log/prepared.tmp");
        image
    }

    pub(crate) fn finish(self) -> Built {
        let killed = self.killed();
        let digest = digest(&self.store);
        self.store.shut_down().unwrap();
        Built { killed, closed: Image::read_but_lock(self.dir.path()), digest }
    }

    pub(crate) fn start(&self, workflow: &str) -> RunId {
        let mut tx = self.store.begin();
        let run = tx.start(NewRun::new("n", workflow, "T").input(b"input")).unwrap();
        tx.commit().unwrap();
        run
    }

    pub(crate) fn append(&self, run: &RunId, payload: &[u8], durability: Durability) {
        let mut tx = self.store.begin();
        tx.append(run, marker(payload)).unwrap();
        tx.commit_with(durability).unwrap();
    }
}

/// What opening came to.
pub(crate) enum Outcome {
    Opened(Box<OpenReport>, Digest),
    Refused(Box<Corruption>),
    Failed(Error),
}

impl Outcome {
    /// Of an open that must be refused for damage.
    pub(crate) fn refused(self, what: &str) -> Corruption {
        match self {
            Outcome::Refused(corruption) => *corruption,
            Outcome::Opened(report, _) => panic!("{what}: opened: {report:?}"),
            Outcome::Failed(error) => panic!("{what}: {error}"),
        }
    }

    /// Of an open that must succeed.
    pub(crate) fn opened(self, what: &str) -> (OpenReport, Digest) {
        match self {
            Outcome::Opened(report, digest) => (*report, digest),
            Outcome::Refused(corruption) => panic!("{what}: refused: {corruption}"),
            Outcome::Failed(error) => panic!("{what}: {error}"),
        }
    }
}

/// Opens an image in every way and checks what must hold of any image: a refused open changes
/// nothing, nor does one for reading; both see the same; what was healed is in quarantine and is
/// clean the next time.
pub(crate) fn examine(image: &Image, what: &str) -> Outcome {
    let dir = directory();
    image.write_killed(dir.path());
    examine_in(dir.path(), image, what)
}

pub(crate) fn examine_in(dir: &Path, image: &Image, what: &str) -> Outcome {
    let reader = open(&small_segments().read_only(true), dir);
    Image::read_but_lock(dir).assert_same(image, &format!("{what}, read only"));
    let writer = match small_segments().open(dir) {
        Ok(store) => store,
        Err(error) => {
            Image::read_but_lock(dir).assert_same(image, what);
            let same = match (&error, &reader) {
                (Error::Corrupt(a), Outcome::Refused(b)) => a == b,
                (Error::Corrupt(_), _) | (_, Outcome::Opened(..) | Outcome::Refused(_)) => false,
                (_, Outcome::Failed(_)) => true,
            };
            assert!(same, "{what}: the reader did not see the same as the writer: {error}");
            return refusal(error);
        }
    };
    let report = writer.report().clone();
    let found = digest(&writer);
    let (seen, read) = reader.opened(&format!("{what}, read only"));
    assert_eq!(read, found, "{what}: the reader sees the commits that the writer sees");
    assert_eq!((seen.verdict, seen.end), (report.verdict, report.end), "{what}");
    writer.verify(|_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    // Nothing but what was removed has changed.
    let mut healed = image.clone();
    let mut removed = 0;
    let mut now = Image::read_but_lock(dir);
    let healing = matches!(report.verdict, Verdict::Torn | Verdict::Ambiguous);
    assert_eq!(!report.quarantined.is_empty(), healing, "{what}: {report:?}");
    for copy in &report.quarantined {
        let name = copy.file_name().unwrap().to_str().unwrap();
        let mut parts = name.split('-').map(|part| part.parse::<usize>());
        let segment = parts.next().unwrap().unwrap();
        let offset = parts.next().unwrap().unwrap();
        let bytes = now.0.remove(&format!("quarantine/{name}")).unwrap();
        let range = offset..offset + bytes.len();
        assert!(image.segment(segment)[range.clone()] == bytes, "{what}: {name} is not a copy");
        healed.segment_mut(segment)[range].fill(0);
        removed += bytes.len() as u64;
    }
    assert_eq!(report.removed_bytes, removed, "{what}");
    healed.0.insert("MANIFEST".into(), now.0["MANIFEST"].clone());
    now.assert_same(&healed, &format!("{what}, healed"));
    // What was healed stays healed, and the log takes commits.
    let mut tx = writer.begin();
    tx.put("after", b"k", &[7; 100]).unwrap();
    tx.commit().unwrap();
    let after = digest(&writer);
    assert_eq!(after[..found.len()], found, "{what}");
    writer.shut_down().unwrap();
    let store = small_segments().open(dir).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(store.report().verdict, Verdict::Clean, "{what}, again");
    assert_eq!(digest(&store), after, "{what}, again");
    Outcome::Opened(Box::new(report), found)
}

fn open(options: &Options, dir: &Path) -> Outcome {
    match options.open(dir) {
        Ok(store) => Outcome::Opened(Box::new(store.report().clone()), digest(&store)),
        Err(error) => refusal(error),
    }
}

fn refusal(error: Error) -> Outcome {
    match error {
        Error::Corrupt(corruption) => Outcome::Refused(corruption),
        other => Outcome::Failed(other),
    }
}

/// Makes the checks of the frame in these bytes of a segment right.
pub(crate) fn seal_frame(image: &mut Image, segment: usize, start: usize, end: usize) {
    let bytes = image.segment_mut(segment);
    let position = (segment * SEGMENT + start) as u64;
    let bound = [&bytes[48..64], &position.to_le_bytes(), &bytes[start + 4..start + 20]].concat();
    let check = crc32fast::hash(&bound).max(1);
    bytes[start..start + 4].copy_from_slice(&check.to_le_bytes());
    let mut trailer = crc32fast::Hasher::new_with_initial(check);
    trailer.update(&bytes[start + 20..end - 4]);
    bytes[end - 4..end].copy_from_slice(&trailer.finalize().max(1).to_le_bytes());
}

/// A store of one segment whose last commit ends where the room for a seal begins, and where that
/// commit lies.
pub(crate) fn filled() -> (Built, Place) {
    filled_by(Builder::new())
}

/// The same, of a store whose first segment has [`SEGMENT`] bytes.
pub(crate) fn filled_by(builder: Builder) -> (Built, Place) {
    builder.start("one");
    let end = builder.store.end().as_u64() as usize;
    // The frame, the row's header, a table and a key of two bytes each.
    let value = SEGMENT - OVERHEAD - end - OVERHEAD - 8 - 4;
    let mut tx = builder.store.begin();
    tx.put("ta", b"ke", &vec![7; value]).unwrap();
    tx.commit().unwrap();
    let built = builder.finish();
    let last = *places(&built.closed).last().unwrap();
    assert_eq!((last.segment, last.end), (0, SEGMENT - OVERHEAD));
    (built, last)
}

/// Lets the last commit take `more` bytes of the room for a seal.
pub(crate) fn stretch(image: &mut Image, last: Place, more: usize) {
    let bytes = image.segment_mut(0);
    for length in [last.start + 4, last.start + 20 + 4] {
        let grown = u32::from_le_bytes(bytes[length..length + 4].try_into().unwrap());
        bytes[length..length + 4].copy_from_slice(&(grown + more as u32).to_le_bytes());
    }
    bytes[last.end - 4..last.end + more - 4].fill(7);
    seal_frame(image, 0, last.start, last.end + more);
}
