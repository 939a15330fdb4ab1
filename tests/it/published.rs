//! What a store that is open for reading only finds beside a writer: every commit, as soon as it has returned; whether
//! the writer stores the position up to which commits are published to a word of its lock record, or writes it.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use kinlog::disk::{Disk, DiskFile, FileSystem, Memory};
use kinlog::{Durability, Options, Store, Verdict};
use kinlog_testing::disk::{Fate, HookedDisk, HookedWord, Hooks, Op, disk_with};
use kinlog_testing::files::{Image, SEGMENT, directory, small_segments};

/// A dozen fill a segment.
const ROW: [u8; 5000] = [7; 5000];
const COMMITS: usize = 40;

fn put(store: &Store, number: usize, durability: Durability) {
    let mut tx = store.begin();
    tx.put("rows", &number.to_string().into_bytes(), &ROW).unwrap();
    tx.commit_with(durability).unwrap();
}

fn rows(store: &Store) -> usize {
    let snapshot = store.snapshot();
    let rows = snapshot.rows("rows", ..);
    rows.map(|row| assert_eq!(row.unwrap().value, ROW)).count()
}

fn reader(options: &Options, path: &Path) -> Store {
    options.clone().read_only(true).open(path).unwrap()
}

fn is_record(path: &Path) -> bool {
    path.ends_with("LOCK")
}

/// A disk with or without words, that counts what is done to the lock record.
#[derive(Default)]
struct Counting {
    refuses_words: bool,
    writes: AtomicUsize,
    stores: AtomicUsize,
}

impl Counting {
    /// What was done since the last call: stores and writes.
    fn take(&self) -> (usize, usize) {
        (self.stores.swap(0, Ordering::SeqCst), self.writes.swap(0, Ordering::SeqCst))
    }
}

impl Hooks for Counting {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        if op == Op::Write && is_record(path) {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        match op {
            Op::Word if self.refuses_words => Fate::Fails(ErrorKind::Unsupported),
            _ => Fate::Done,
        }
    }

    fn store(&self, _: &Path, word: &HookedWord, number: u64) {
        self.stores.fetch_add(1, Ordering::SeqCst);
        word.store(number);
    }
}

/// Commits on this disk, with a reader beside them.
fn each_commit_is_seen(disk: Arc<dyn Disk>, path: &Path, done: &dyn Fn(Durability)) {
    let options = small_segments().disk(disk);
    let store = options.open(path).unwrap();
    put(&store, 0, Durability::Sync);
    let beside = reader(&options, path);
    done(Durability::Sync);
    for number in 1..COMMITS {
        let durability = match number % 4 {
            0 => Durability::Sync,
            _ => Durability::Buffered,
        };
        put(&store, number, durability);
        assert!(beside.refresh().unwrap(), "{number}");
        assert_eq!((rows(&beside), beside.end()), (number + 1, store.end()));
        assert_eq!(rows(&reader(&options, path)), number + 1);
        // The thread for segments moves the durable mark, whenever it has synced a full one.
        if store.end().as_u64() < SEGMENT as u64 {
            done(durability);
        }
    }
    assert!(store.end().as_u64() > 2 * SEGMENT as u64);
}

#[test]
fn each_commit_is_seen_by_a_word_as_soon_as_it_returns() {
    let dir = directory();
    let counts = Arc::new(Counting::default());
    each_commit_is_seen(HookedDisk::shared(counts.clone()), dir.path(), &|durability| match (
        durability,
        counts.take(),
    ) {
        (Durability::Buffered, done) => assert_eq!(done, (1, 0)),
        (_, (stores, writes)) => assert!(stores == 0 && writes > 0),
    });
}

#[test]
fn each_commit_is_seen_by_a_write_as_soon_as_it_returns() {
    let dir = directory();
    let counts = Arc::new(Counting { refuses_words: true, ..Counting::default() });
    each_commit_is_seen(HookedDisk::shared(counts.clone()), dir.path(), &|_| {
        let (stores, writes) = counts.take();
        assert!(stores == 0 && writes > 0);
    });
    // The file is as long as it was before there were words.
    assert_eq!(std::fs::metadata(dir.path().join("LOCK")).unwrap().len(), 136);
}

#[test]
fn each_commit_is_seen_on_a_disk_in_memory_as_soon_as_it_returns() {
    each_commit_is_seen(Arc::new(Memory::new()), Path::new("/store"), &|_| {});
}

/// Looks at the store before and after each store to the word.
struct Looking {
    path: PathBuf,
    beside: OnceLock<Store>,
    /// What was seen: rows of a reader that reads on, and of one that opens the store, before and afterwards.
    seen: Mutex<Vec<[usize; 4]>>,
}

impl Looking {
    fn look(&self) -> [usize; 2] {
        let fresh = || reader(&small_segments(), &self.path);
        let beside = self.beside.get_or_init(fresh);
        beside.refresh().unwrap();
        [rows(beside), rows(&fresh())]
    }
}

impl Hooks for Looking {
    fn fate(&self, _: Op, _: &Path) -> Fate {
        Fate::Done
    }

    fn store(&self, _: &Path, word: &HookedWord, number: u64) {
        // A panic in the middle of a round would let the store wait for its end.
        let look = || catch_unwind(AssertUnwindSafe(|| self.look())).unwrap_or([usize::MAX; 2]);
        let [before, fresh_before] = look();
        word.store(number);
        let [after, fresh_after] = look();
        self.seen.lock().unwrap().push([before, fresh_before, after, fresh_after]);
    }
}

#[test]
fn the_word_is_never_ahead_of_what_can_be_read() {
    let dir = directory();
    let (path, beside, seen) = (dir.path().to_owned(), OnceLock::new(), Mutex::default());
    let looking = Arc::new(Looking { path, beside, seen });
    let options = small_segments().disk(HookedDisk::shared(looking.clone()));
    let store = options.open(dir.path()).unwrap();
    // Within the first segment: a full one that is synced has its position written.
    let commits = 10;
    (0..commits).for_each(|number| put(&store, number, Durability::Buffered));
    let expected: Vec<_> = (0..commits).map(|n| [n, n, n + 1, n + 1]).collect();
    assert_eq!(*looking.seen.lock().unwrap(), expected);
}

/// As earlier versions left it, and as it is found for an instant after it was made.
#[test]
fn a_short_lock_record_is_made_long_enough_for_a_word() {
    let dir = directory();
    for len in [0, 16, 24, 40, 136] {
        small_segments().open(dir.path()).unwrap().shut_down().unwrap();
        let record = dir.path().join("LOCK");
        std::fs::File::options().write(true).open(&record).unwrap().set_len(len).unwrap();
        let counts = Arc::new(Counting::default());
        let options = small_segments().disk(HookedDisk::shared(counts.clone()));
        let store = options.open(dir.path()).unwrap();
        assert_eq!(std::fs::metadata(&record).unwrap().len(), 4096);
        let beside = reader(&options, dir.path());
        counts.take();
        put(&store, len as usize, Durability::Buffered);
        assert_eq!(counts.take(), (1, 0));
        assert!(beside.refresh().unwrap());
    }
}

/// A disk that is full when the page is to be written that the word is in.
struct Full(Counting);

impl Hooks for Full {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        self.0.fate(op, path)
    }

    fn write(&self, path: &Path, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        if is_record(path) && offset + bytes.len() as u64 > 136 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.fate(Op::Write, path);
        file.write_at(bytes, offset)
    }

    fn store(&self, path: &Path, word: &HookedWord, number: u64) {
        self.0.store(path, word, number);
    }
}

#[test]
fn a_disk_too_full_for_the_page_of_the_word_has_none() {
    let dir = directory();
    let full = Arc::new(Full(Counting::default()));
    let options = small_segments().disk(HookedDisk::shared(full.clone()));
    let store = options.open(dir.path()).unwrap();
    let beside = reader(&options, dir.path());
    full.0.take();
    put(&store, 0, Durability::Buffered);
    assert_eq!(full.0.take(), (0, 1));
    assert!(beside.refresh().unwrap());
    assert_eq!(rows(&beside), 1);
}

/// The bytes of the word alone change, and are those of the number in little-endian order.
#[test]
fn a_word_is_eight_bytes_of_its_file() {
    let dir = directory();
    let path = dir.path().join("file");
    std::fs::write(&path, [0xaa; 200]).unwrap();
    let file = FileSystem::new().open(&path, kinlog::disk::OpenMode::Write).unwrap();
    for offset in [1, 4, 20, 193, 200, 4088, 4096, 1 << 40, u64::MAX] {
        assert!(file.word(offset).is_none(), "{offset}");
    }
    for offset in [0usize, 16, 192] {
        let word = file.word(offset as u64).unwrap();
        for number in [0, 1, 0x0102_0304_0506_0708, u64::MAX] {
            word.store(number);
            let mut expected = vec![0xaa; 200];
            expected[offset..offset + 8].copy_from_slice(&number.to_le_bytes());
            assert!(std::fs::read(&path).unwrap() == expected, "{offset} {number}");
            // What is written beside it, and over it, is seen and stays.
            file.write_at(&[0xaa; 200], 0).unwrap();
            assert!(std::fs::read(&path).unwrap() == [0xaa; 200]);
        }
    }
}

/// What a store opened for reading only finds while the next writer, after one that was killed, reads the log and has
/// published nothing: it went back to where the manifest was written last.
#[test]
fn what_was_synced_before_a_kill_is_seen_while_the_next_writer_opens_the_store() {
    let (dir, killed) = (directory(), directory());
    let store = small_segments().open(dir.path()).unwrap();
    // As it is before the store comes to rest.
    let manifest = std::fs::read(dir.path().join("MANIFEST")).unwrap();
    (0..COMMITS).for_each(|number| put(&store, number, Durability::Sync));
    let mut image = Image::read(dir.path());
    *image.manifest_mut() = manifest;
    image.write(killed.path());
    let (path, seen) = (killed.path().to_owned(), Arc::new(Mutex::new(vec![])));
    let disk = {
        let seen = seen.clone();
        disk_with(move |op, at| {
            let is_segment = at.extension().is_some_and(|it| it == "seg");
            if op == Op::Read && is_segment {
                let beside = reader(&small_segments(), &path);
                assert_eq!(beside.report().verdict, Verdict::Live);
                seen.lock().unwrap().push(rows(&beside));
            }
            Fate::Done
        })
    };
    assert_eq!(rows(&small_segments().disk(disk).open(killed.path()).unwrap()), COMMITS);
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|rows| *rows == COMMITS), "{seen:?}");
}
