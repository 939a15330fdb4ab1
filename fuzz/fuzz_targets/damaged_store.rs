//! A store with edits, whose frame checks are made right again: opening and reading it never
//! panics, and a store that opens also reads.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use kinlog::{Close, EventKind, NewEvent, NewRun, Options, Position, RunFilter};
use libfuzzer_sys::fuzz_target;

const HEADER: usize = 4096;

struct Template {
    dir: tempfile::TempDir,
    segment: Vec<u8>,
    used: usize,
}

/// A small store with a few commits of every sort.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let root = PathBuf::from("/dev/shm");
    let dir = if root.is_dir() { tempfile::tempdir_in(root) } else { tempfile::tempdir() };
    let dir = dir.expect("a directory to work in");
    let store = Options::new().segment_bytes(64 << 10).open(dir.path()).expect("a store");
    for n in 0..3 {
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("shop", &format!("order-{n}"), "Order")).expect("a start");
        let own = NewEvent::opaque(EventKind::from_number(1024), b"own");
        tx.append(&run, own).expect("an append");
        tx.put("timers", b"key", b"value").expect("a put");
        tx.commit().expect("a commit");
        store.close(&run, Close::completed(b"ok")).expect("a close");
    }
    let used = usize::try_from(store.end().as_u64()).expect("a small store");
    store.shut_down().expect("a clean close");
    let segment = std::fs::read(dir.path().join("log/00000000.seg")).expect("a segment");
    Template { dir, segment, used }
});

/// Makes the checks of every frame right that still has a sensible length.
fn fix_checks(segment: &mut [u8]) {
    let salt: [u8; 16] = segment[48..64].try_into().expect("16 bytes");
    let mut offset = HEADER;
    while offset + 24 <= segment.len() {
        let len = u32::from_le_bytes(segment[offset + 4..offset + 8].try_into().expect("4 bytes"));
        let len = len as usize;
        if segment[offset..offset + 4] == [0; 4] || offset + 24 + len > segment.len() {
            return;
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&salt);
        crc.update(&(offset as u64).to_le_bytes());
        crc.update(&segment[offset + 4..offset + 20]);
        let check = crc.finalize().max(1);
        segment[offset..offset + 4].copy_from_slice(&check.to_le_bytes());
        let mut crc = crc32fast::Hasher::new_with_initial(check);
        let end = offset + 20 + len;
        crc.update(&segment[offset + 20..end]);
        segment[end..end + 4].copy_from_slice(&crc.finalize().max(1).to_le_bytes());
        offset = end + 4;
    }
}

fuzz_target!(|edits: &[u8]| {
    let template = &*TEMPLATE;
    let mut segment = template.segment.clone();
    let span = template.used - HEADER + 64;
    for edit in edits.chunks_exact(4) {
        let offset = HEADER + usize::from(u16::from_le_bytes([edit[0], edit[1]])) % span;
        segment[offset] = edit[2];
        segment[offset + 1] ^= edit[3];
    }
    if edits.len() % 2 == 0 {
        fix_checks(&mut segment);
    }
    std::fs::write(template.dir.path().join("log/00000000.seg"), &segment).expect("a write");
    let opened = Options::new().read_only(true).open(template.dir.path());
    let Ok(store) = opened else { return };
    store.verify(|_| {}).expect("what opened verifies");
    let snapshot = store.snapshot();
    for run in snapshot.runs(RunFilter::all()) {
        let history = snapshot.history(&run.id).expect("a listed run has a history");
        assert_eq!(history.rev().count(), history.len() as usize);
    }
    let rows = snapshot.rows("timers", ..).map(|row| row.expect("a row reads").value.len());
    let _ = rows.sum::<usize>();
    let mut tail = store.tail(Position::START);
    while let Some(commit) = tail.try_next().expect("what opened can be followed") {
        let _ = commit.batches().flat_map(|batch| batch.events()).count();
    }
});
