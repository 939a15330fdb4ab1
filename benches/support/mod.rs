//! What the benches share: stores to measure, and the bare device to measure beside.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kinlog::{
    Close, Durability, EventKind, Limits, NewChild, NewEvent, NewRun, ParentClosePolicy, RunId,
    Store,
};

/// Bytes of a frame and of a batch header around the events: what kinlog adds to a commit.
pub(crate) const COMMIT_OVERHEAD: usize = 24 + 20;
/// Bytes of an event's header.
pub(crate) const EVENT_OVERHEAD: usize = 16;
/// How many runs are started in one commit where nothing is measured yet.
const AT_ONCE: u32 = 1_000;

/// A directory on the disk that the build lies on, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::current_exe().unwrap().with_file_name(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A store without limits on what one run may hold.
    pub(crate) fn open(&self) -> Store {
        let store = Store::open(self.0.join("store")).unwrap();
        lift_limits(&store);
        store
    }

    /// Such a store, and a run in it.
    pub(crate) fn store(&self) -> (Store, RunId) {
        let store = self.open();
        let run = start_many(&store, 1)[0];
        (store, run)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lets a run of the namespace hold whatever a bench adds to it.
pub(crate) fn lift_limits(store: &Store) {
    let mut limits = Limits::default();
    (limits.history_events, limits.history_bytes) = (u32::MAX - 1, u32::MAX);
    (limits.open_children, limits.open_activities) = (u32::MAX, u32::MAX);
    store.set_limits("bench", limits).unwrap();
}

/// Starts so many runs, as `workflow-0` and so on.
pub(crate) fn start_many(store: &Store, runs: u32) -> Vec<RunId> {
    let mut started = vec![];
    for first in (0..runs).step_by(AT_ONCE as usize) {
        let mut tx = store.begin();
        let numbers = first..runs.min(first + AT_ONCE);
        let start = |n| tx.start(NewRun::new("bench", &format!("workflow-{n}"), "Bench")).unwrap();
        started.extend(numbers.map(start));
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    started
}

/// The same, all closed.
pub(crate) fn start_closed(store: &Store, runs: u32) -> Vec<RunId> {
    let runs = start_many(store, runs);
    for runs in runs.chunks(AT_ONCE as usize) {
        let mut tx = store.begin();
        for run in runs {
            tx.close_run(run, Close::completed(b"")).unwrap();
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    runs
}

/// A parent with open children, half of which are to be terminated, half asked to cancel.
pub(crate) fn family(store: &Store, children: u32) -> RunId {
    let mut tx = store.begin();
    let name = format!("parent-{}", store.end());
    let parent = tx.start(NewRun::new("bench", &name, "Parent")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    for first in (0..children).step_by(AT_ONCE as usize) {
        let mut tx = store.begin();
        for number in first..children.min(first + AT_ONCE) {
            let policy = match number % 2 {
                0 => ParentClosePolicy::Terminate,
                _ => ParentClosePolicy::RequestCancel,
            };
            let workflow_id = format!("{name}/{number}");
            let child = NewChild::new(&workflow_id, "Child").on_parent_close(policy);
            tx.spawn_child(&parent, child).unwrap();
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    parent
}

/// Commits so much that all of the index so far goes into files, and waits until it is there and taken out of memory.
pub(crate) fn freeze(store: &Store) {
    let before = store.stats().unwrap().index.files;
    // A layer of the index is frozen before the commit after 32 MiB of the log.
    for _ in 0..3 {
        let mut tx = store.begin();
        tx.put("large", b"", &vec![0; 16 << 20]).unwrap();
        // Nothing goes into files before it is durable.
        tx.commit_with(Durability::Sync).unwrap();
    }
    loop {
        let index = store.stats().unwrap().index;
        if index.files != before && index.frozen_layers == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An event of `payload`.
pub(crate) fn event(payload: &[u8]) -> NewEvent<'_> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, payload)
}

/// The bytes that a commit of so many events to one run takes in the log.
pub(crate) fn commit_bytes(events: usize, payload: usize) -> usize {
    COMMIT_OVERHEAD + events * (EVENT_OVERHEAD + payload)
}

/// The bare device: a zeroed, synced file that is overwritten from front to back.
pub(crate) struct Bare {
    file: File,
    offset: usize,
    len: usize,
}

impl Bare {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let path = scratch.path().join("bare");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
        let len = 64 << 20;
        for offset in (0..len).step_by(1 << 20) {
            file.write_all_at(&vec![0; 1 << 20], offset as u64).unwrap();
        }
        file.sync_all().unwrap();
        Bare { file, offset: 0, len }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.offset + bytes.len() > self.len {
            self.offset = 0;
        }
        self.file.write_all_at(bytes, self.offset as u64).unwrap();
        self.offset += bytes.len();
    }

    pub(crate) fn write_and_sync(&mut self, bytes: &[u8]) {
        self.write(bytes);
        self.file.sync_data().unwrap();
    }
}
