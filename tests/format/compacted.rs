//! Compacted segments that are damaged or make no sense: the library and the reader in Python refuse them alike.

use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Error, EventKind, NewEvent, NewRun};
use kinlog_testing::files::{Image, directory, segment_name, small_segments};

use super::agree_on_verdict;

const PAGE: usize = 4096;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A compacted segment taken apart: its header page, and its pieces with where they were.
struct Taken {
    page: Vec<u8>,
    pieces: Vec<(u32, Vec<u8>)>,
}

impl Taken {
    fn of(file: &[u8]) -> Self {
        assert_eq!(&file[..8], b"KINLOGCS");
        let table = &file[PAGE + u32_at(file, 72) as usize..];
        let piece = |entry: &[u8]| {
            let (at, len, place) = (u32_at(entry, 0), u32_at(entry, 4), u32_at(entry, 8));
            (at, file[place as usize..(place + len) as usize].to_vec())
        };
        Taken { page: file[..PAGE].to_vec(), pieces: table.chunks(12).map(piece).collect() }
    }

    /// The file, with sums and checksums as they must be.
    fn put_together(mut self) -> Vec<u8> {
        let (mut data, mut table) = (vec![], vec![]);
        for (at, bytes) in &self.pieces {
            let place = PAGE + data.len();
            for field in [*at as usize, bytes.len(), place] {
                table.extend((field as u32).to_le_bytes());
            }
            data.extend(bytes);
        }
        for (at, field) in
            [(68, self.pieces.len() as u32), (72, data.len() as u32), (76, crc32fast::hash(&table))]
        {
            self.page[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        let check = crc32fast::hash(&self.page[..160]);
        self.page[160..164].copy_from_slice(&check.to_le_bytes());
        [self.page, data, table].concat()
    }
}

/// A store whose first segment was compacted, and has a run without most of its events, and the row that deletes it.
fn compacted() -> Image {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap().0;
    for _ in 0..5 {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 100]);
        store.transact(|tx| tx.append(&run, event)).unwrap();
    }
    store.close_run(&run, Close::completed(b"ok")).unwrap();
    store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
    while store.end().as_u64() < 64 << 10 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 9_000])).unwrap();
    }
    let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
    assert_eq!(done.rewritten, 1);
    store.shut_down().unwrap();
    Image::read(dir.path())
}

fn edit(image: &mut Image, change: impl FnOnce(&mut Taken)) {
    let mut taken = Taken::of(image.segment(0));
    change(&mut taken);
    *image.segment_mut(0) = taken.put_together();
}

/// What to do to the image.
type Case = (&'static str, fn(&mut Image));

const CASES: [Case; 13] = [
    ("a bit of the header", |image| image.segment_mut(0)[90] ^= 1),
    ("a bit behind the header", |image| image.segment_mut(0)[2000] ^= 1),
    ("a bit of a piece", |image| image.segment_mut(0)[PAGE + 50] ^= 1),
    ("a bit of the table", |image| *image.segment_mut(0).last_mut().unwrap() ^= 4),
    ("without its last bytes", |image| {
        let len = image.segment(0).len();
        image.segment_mut(0).truncate(len - 12);
    }),
    ("with more bytes", |image| image.segment_mut(0).extend([0; 12])),
    ("of an older version", |image| edit(image, |taken| taken.page[8] = 4)),
    ("as of a position beyond the log", |image| {
        edit(image, |taken| taken.page[80..88].copy_from_slice(&(1u64 << 20).to_le_bytes()));
    }),
    ("without its seal", |image| edit(image, |taken| drop(taken.pieces.pop()))),
    ("without its first piece", |image| edit(image, |taken| drop(taken.pieces.remove(0)))),
    ("without the row that deletes the run", |image| {
        edit(image, |taken| {
            let deletes = |bytes: &[u8]| bytes.windows(14).any(|it| it == b"kinlog.deleted");
            let before = taken.pieces.len();
            taken.pieces.retain(|(_, bytes)| !deletes(bytes));
            assert_eq!(taken.pieces.len(), before - 1);
        });
    }),
    ("pieces in another order", |image| edit(image, |taken| taken.pieces.swap(0, 1))),
    ("in the place of another segment", |image| {
        let other = image.segment(0).to_vec();
        *image.segment_mut(1) = other;
    }),
];

/// Found by the rig: the second segment was read by the length that it had before.
#[test]
fn an_old_segment_before_a_compacted_one_is_damage_with_its_place() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let put = || store.transact(|tx| tx.put("filling", b"row", &[7; 9_000])).unwrap();
    put();
    let old = std::fs::read(dir.path().join(segment_name(0))).unwrap();
    while store.end().as_u64() < 2 * (64 << 10) {
        put();
    }
    assert_eq!(store.compact(&Compaction::new()).unwrap().rewritten, 2);
    store.shut_down().unwrap();
    std::fs::write(dir.path().join(segment_name(0)), old).unwrap();
    for read_only in [true, false] {
        let opened = small_segments().read_only(read_only).open(dir.path());
        let Err(Error::Corrupt(corruption)) = opened else { panic!("{opened:?}") };
        assert!(corruption.path.ends_with(segment_name(0)), "{corruption:?}");
    }
}

#[test]
fn a_compacted_segment_that_makes_no_sense_is_refused() {
    let image = compacted();
    let mut whole = image.clone();
    edit(&mut whole, |_| ());
    let dir = directory();
    whole.write(dir.path());
    small_segments().open(dir.path()).unwrap().verify(|_| ()).unwrap();
    for (what, change) in CASES {
        let dir = directory();
        let mut changed = image.clone();
        change(&mut changed);
        changed.write(dir.path());
        for read_only in [true, false] {
            let opened = small_segments().read_only(read_only).open(dir.path());
            assert!(matches!(opened, Err(Error::Corrupt(_))), "{what}: {opened:?}");
        }
        assert!(agree_on_verdict(dir.path()).is_none_or(|verdict| verdict.is_err()), "{what}");
    }
}
