//! A disk that becomes full at any moment of a compaction that packs: nothing is lost, the store goes on, and the compaction
//! is done once there is room.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kinlog::disk::Disk;
use kinlog::retention::Compaction;
use kinlog::{Close, Error, Options, RunId, Store, Verdict};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, directory, small_segments};
use kinlog_testing::steps::{fill, marker, start};

const RUNS: usize = 6;
const EVENTS: usize = 60;

/// A disk on which so many operations that need space fail, from the `from`th on, once it is told to count them.
struct Filling {
    counts: AtomicBool,
    count: AtomicUsize,
    from: usize,
    times: usize,
    fate: Fate,
}

impl Filling {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        // What is written in its place needs none, nor does an empty file.
        let is_new = path.extension().is_some_and(|it| it == "tmp" || it == "idx");
        let needs_space = is_new && matches!(op, Op::Write | Op::Sync);
        if !needs_space || !self.counts.load(Ordering::SeqCst) {
            return Fate::Done;
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        match number.checked_sub(self.from).is_some_and(|nth| nth < self.times) {
            true if op == Op::Write => self.fate,
            true => Fate::Fails(ErrorKind::StorageFull),
            false => Fate::Done,
        }
    }
}

/// A store with runs that take turns, all of which have closed but for the last one, and rows that change.
fn filled() -> (Image, Vec<RunId>) {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs: Vec<_> = (0..RUNS).map(|number| start(&store, &format!("order-{number}"))).collect();
    for turn in 0..EVENTS {
        let payload = format!("{{\"activity\":\"charge\",\"order\":{turn},\"currency\":\"EUR\"}}");
        for run in &runs {
            store.append(run, marker(payload.repeat(6).as_bytes())).unwrap();
        }
        store.transact(|tx| tx.put("turns", b"last", payload.as_bytes())).unwrap();
    }
    for run in runs.iter().take(RUNS - 1) {
        store.close_run(run, Close::completed(b"done")).unwrap();
    }
    fill(&store);
    store.shut_down().unwrap();
    (Image::read_but_lock(dir.path()), runs)
}

fn pack(store: &Store) -> kinlog::Result<u32> {
    store.compact(&Compaction::new().pack()).map(|done| done.rewritten)
}

/// The payloads of all runs.
fn told(store: &Store, runs: &[RunId]) -> Vec<Vec<Vec<u8>>> {
    let history = |run| {
        let history = store.history(run).unwrap();
        history.iter().map(|event| event.unwrap().payload().to_vec()).collect()
    };
    runs.iter().map(history).collect()
}

/// Files that something has left which came to no end.
fn unfinished(dir: &Path) -> Vec<String> {
    let image = Image::read(dir);
    image.0.into_keys().filter(|name| name.ends_with(".tmp")).collect()
}

/// What a compaction comes to on a disk that never fails.
struct Undisturbed {
    image: Image,
    runs: Vec<RunId>,
    told: Vec<Vec<Vec<u8>>>,
    packed_segments: u64,
}

impl Undisturbed {
    fn new() -> Self {
        let (image, runs) = filled();
        let dir = directory();
        image.write(dir.path());
        let store = small_segments().open(dir.path()).unwrap();
        let told = told(&store, &runs);
        assert!(pack(&store).unwrap() > 2);
        let packed_segments = store.stats().unwrap().packed_segments;
        Undisturbed { image, runs, told, packed_segments }
    }

    /// Fills the disk at this operation; whether it came to that.
    fn fills_at(&self, from: usize, times: usize, fate: Fate) -> bool {
        let what = format!("full at {from}, {times} times, {fate:?}");
        let dir = directory();
        self.image.write(dir.path());
        let (counts, count) = Default::default();
        let filling = Arc::new(Filling { counts, count, from, times, fate });
        let disk: Arc<dyn Disk> = {
            let filling = filling.clone();
            disk_with(move |op, path| filling.fate(op, path))
        };
        let options = small_segments().disk(disk);
        let store = options.open(dir.path()).unwrap();
        filling.counts.store(true, Ordering::SeqCst);
        match pack(&store) {
            // With the space of the reserve file.
            Ok(_) => assert!(times == 1 || filling.count.load(Ordering::SeqCst) <= from, "{what}"),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::StorageFull => {}
            Err(error) => panic!("{what}: {error}"),
        }
        let was_full = filling.count.load(Ordering::SeqCst) > from;
        assert_eq!(unfinished(dir.path()), [""; 0], "{what}");
        // One segment at most is left for want of room.
        let packed = store.stats().unwrap().packed_segments;
        assert!(times > 2 || packed + 1 >= self.packed_segments, "{what}: {packed} are packed");
        self.check(&store, 0, &what);
        // It goes on where there is space already, and a reader beside it reads what is there.
        store.append(&self.runs[RUNS - 1], marker(b"while it is full")).unwrap();
        self.check(&small_segments().read_only(true).open(dir.path()).unwrap(), 1, &what);
        filling.counts.store(false, Ordering::SeqCst);
        pack(&store).unwrap_or_else(|error| panic!("{what}, with room: {error}"));
        assert_eq!(store.stats().unwrap().packed_segments, self.packed_segments, "{what}");
        self.check(&store, 1, &what);
        store.shut_down().unwrap();
        self.check_closed(&options, dir.path(), &what);
        was_full
    }

    /// All runs are as they were, but that the open one has so many events more.
    fn check(&self, store: &Store, more: usize, what: &str) {
        let mut told = told(store, &self.runs);
        let open = told.last_mut().unwrap();
        assert_eq!(open.len(), EVENTS + 1 + more, "{what}");
        open.truncate(EVENTS + 1);
        assert!(told == self.told, "{what}: histories have changed");
        assert_eq!(store.snapshot().rows("turns", ..).count(), 1, "{what}");
        store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    fn check_closed(&self, options: &Options, dir: &Path, what: &str) {
        let store = options.clone().check_log(true).open(dir).unwrap();
        assert_eq!(store.report().verdict, Verdict::Clean, "{what}");
        self.check(&store, 1, what);
        store.shut_down().unwrap();
        assert!(dir.join("RESERVE").exists(), "{what}: the reserve did not come back");
        assert_eq!(unfinished(dir), [""; 0], "{what}");
    }
}

#[test]
fn a_disk_that_is_full_anywhere_in_a_packing_compaction_loses_nothing_and_has_it_repeated() {
    let undisturbed = Undisturbed::new();
    let fates = [Fate::Fails, |kind| Fate::Partly(500, kind)];
    for from in 0.. {
        let mut was_full = false;
        // The second time is that of the attempt with the reserve.
        for times in [1, 2, usize::MAX] {
            for fate in fates {
                was_full |= undisturbed.fills_at(from, times, fate(ErrorKind::StorageFull));
            }
        }
        if !was_full {
            println!("{from} operations that need space");
            assert!(from > 5, "{from}");
            return;
        }
    }
}
