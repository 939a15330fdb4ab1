//! Publishing and reading on weakly ordered memory: loom tries every value that a load may see.
//!
//! ```text
//! RUSTFLAGS='--cfg loom' cargo test -p kinlog --lib weak_memory --target-dir target/loom
//! ```
//!
//! The atomics are loom's. The lock around the list of segments is not modelled, so the marks must be
//! correct without the ordering that it adds. The file's content is modelled as one relaxed atomic: a thread
//! that may read the bytes must see that they were written.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, JoinHandle};

use super::segment::Segment;
use super::view::Published;
use crate::disk::{Disk, DiskFile, FileId, FileSystem, Map, MappedFile, OpenMode};
use crate::log::format::{Identity, SEGMENT_HEADER_BYTES, SegmentHeader};

const SEGMENT_BYTES: u32 = 2 * SEGMENT_HEADER_BYTES as u32;
const FRAME_BYTES: usize = 64;
const IDENTITY: Identity = Identity { store: [0; 16], segment_bytes: SEGMENT_BYTES };

/// A file that records only whether it was written.
struct Content {
    real: Arc<dyn DiskFile>,
    written: AtomicBool,
}

impl DiskFile for Content {
    fn size(&self) -> io::Result<u64> {
        self.real.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        self.written.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        self.real.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.real.map(len)
    }
}

/// An empty segment, and its content.
fn segment(path: &Path, number: u32) -> (Arc<Segment>, Arc<Content>) {
    let real = FileSystem::new().open(path, OpenMode::Read).unwrap();
    let id = real.id().unwrap();
    let content = Arc::new(Content { real, written: AtomicBool::new(false) });
    let map = content.map(SEGMENT_BYTES as usize).unwrap();
    let file = MappedFile::new(map, SEGMENT_HEADER_BYTES);
    file.begin_writing(content.clone());
    let header = SegmentHeader {
        identity: IDENTITY,
        number,
        epoch: 1,
        salt: [0; 16],
        file_bytes: SEGMENT_BYTES,
        compacted: None,
    };
    (Arc::new(Segment::new(header, PathBuf::new(), id, file)), content)
}

/// Runs `model` in every order and with every value that loads may see. `model` returns the thread
/// that reads, which returns how much it found; nothing and all of it must both come up.
fn explore(all: usize, model: impl Fn(&Path) -> JoinHandle<usize> + Send + Sync + 'static) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SEGMENT_BYTES.into()).unwrap();
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let finding = found.clone();
    loom::model(move || {
        let reader = model(file.path());
        finding.lock().unwrap().insert(reader.join().unwrap());
    });
    let found = found.lock().unwrap();
    assert!(found.contains(&0) && found.contains(&all), "{found:?}");
}

#[test]
fn bytes_below_the_mark_are_there() {
    explore(1, |path| {
        let (segment, content) = segment(path, 0);
        let reading = segment.clone();
        let reader = thread::spawn(move || {
            let bytes =
                reading.file.bytes(SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + FRAME_BYTES);
            assert!(bytes.is_none() || content.written.load(Ordering::Relaxed));
            bytes.iter().count()
        });
        segment.file.write_at(&[1; FRAME_BYTES], SEGMENT_HEADER_BYTES).unwrap();
        segment.file.publish(SEGMENT_HEADER_BYTES + FRAME_BYTES);
        reader
    });
}

#[test]
fn a_commit_below_the_end_is_below_the_marks_and_there() {
    explore(2, |path| {
        let segments: Vec<_> = (0..2).map(|number| segment(path, number)).collect();
        let (segments, contents): (Vec<_>, Vec<_>) = segments.into_iter().unzip();
        let frame = |segment: &Segment| IDENTITY.first_frame(segment.header.number);
        let published = Published::new(IDENTITY, segments.clone(), frame(&segments[0]));
        let published = Arc::new(published);
        let reading = published.clone();
        let reader = thread::spawn(move || {
            let view = reading.view();
            let below = view.segments().iter().filter(|segment| frame(segment) < view.end).count();
            for (segment, content) in view.segments().iter().zip(contents).take(below) {
                assert!(view.bytes(frame(segment), FRAME_BYTES).is_ok());
                assert!(content.written.load(Ordering::Relaxed));
            }
            assert!(reading.end() >= view.end);
            below
        });
        // One commit in each segment.
        for segment in &segments {
            segment.file.write_at(&[1; FRAME_BYTES], SEGMENT_HEADER_BYTES).unwrap();
            published.publish(frame(segment).plus(FRAME_BYTES as u64));
        }
        reader
    });
}
