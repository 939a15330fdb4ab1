//! Packed segments that are damaged or make no sense: the library and the reader in Python refuse them alike.

use std::io::Read;

use kinlog::retention::Compaction;
use kinlog::salvage::salvage;
use kinlog::{Close, Error, EventKind, NewEvent, NewRun, Options, RunFilter, RunId, Store};
use kinlog_testing::Rng;
use kinlog_testing::files::{Image, directory, segment_name, small_segments};

use super::agree_on_verdict;

const PAGE: usize = 4096;
const FIELDS: usize = 164;

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// A packed segment taken apart.
struct Taken {
    page: Vec<u8>,
    plain: Vec<u8>,
    /// What is in each block, packed, and how long it is unpacked.
    blocks: Vec<(Vec<u8>, u32)>,
    pieces: Vec<u8>,
}

impl Taken {
    fn of(file: &[u8]) -> Self {
        let (plain, blocks, packed) = (u32_at(file, 144), u32_at(file, 148), u32_at(file, 152));
        let table = file.len() - 16 * blocks;
        let mut at = PAGE + plain;
        let block = |entry: &[u8]| {
            let block = file[at..at + u32_at(entry, 4)].to_vec();
            at += block.len();
            (block, u32_at(entry, 0) as u32)
        };
        Taken {
            page: file[..PAGE].to_vec(),
            plain: file[PAGE..PAGE + plain].to_vec(),
            blocks: file[table..].chunks(16).map(block).collect(),
            pieces: file[PAGE + plain + packed..table].to_vec(),
        }
    }

    fn unpacked(&self, block: usize) -> Vec<u8> {
        zstd::bulk::decompress(&self.blocks[block].0, 1 << 20).unwrap()
    }

    /// The file, with sums and checks as they must be. The check of what a block holds is that of what zstd gets from it.
    fn put_together(mut self) -> Vec<u8> {
        let (mut packed, mut table) = (vec![], vec![]);
        for (block, len) in &self.blocks {
            let unpacked = zstd::bulk::decompress(block, 1 << 20).unwrap_or_default();
            let checks = [crc32fast::hash(&unpacked), crc32fast::hash(block)];
            for field in [*len, block.len() as u32, checks[0], checks[1]] {
                table.extend(field.to_le_bytes());
            }
            packed.extend(block);
        }
        let fields = [self.plain.len(), self.blocks.len(), packed.len()].map(|it| it as u32);
        for (at, field) in
            (144..).step_by(4).zip([fields.as_slice(), &[crc32fast::hash(&table)]].concat())
        {
            self.page[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        reseal(&mut self.page);
        [self.page, self.plain, packed, self.pieces, table].concat()
    }
}

fn block_of(unpacked: &[u8]) -> (Vec<u8>, u32) {
    (zstd::bulk::compress(unpacked, 1).unwrap(), unpacked.len() as u32)
}

/// A frame of a few KiB that holds 1 GiB of zeros.
fn bomb(says_so: bool) -> Vec<u8> {
    const BYTES: u64 = 1 << 30;
    let mut encoder = zstd::Encoder::new(vec![], 1).unwrap();
    encoder.set_pledged_src_size(says_so.then_some(BYTES)).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(BYTES), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn reseal(page: &mut [u8]) {
    let check = crc32fast::hash(&page[..FIELDS - 4]);
    page[FIELDS - 4..FIELDS].copy_from_slice(&check.to_le_bytes());
}

/// A store whose first segment is packed, in two blocks or more.
fn packed() -> Image {
    let dir = directory();
    let options = Options::new().segment_bytes(4 << 20);
    let store = options.open(dir.path()).unwrap();
    let mut rng = Rng::new(11);
    for number in 0..6 {
        let order = format!("order-{number}");
        let run = store.transact(|tx| tx.start(NewRun::new("shop", &order, "Order"))).unwrap().0;
        for _ in 0..20 {
            let noise: Vec<u8> = (0..2_000).map(|_| rng.byte()).collect();
            let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &noise);
            store.transact(|tx| tx.append(&run, event)).unwrap();
        }
        store.close_run(&run, Close::completed(b"ok")).unwrap();
    }
    let run = NewRun::new("shop", "long", "Order");
    let run = store.transact(|tx| tx.start(run)).unwrap().0;
    for _ in 0..900 {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 1_000]);
        store.transact(|tx| tx.append(&run, event)).unwrap();
    }
    store.close_run(&run, Close::completed(b"ok")).unwrap();
    store.transact(|tx| tx.put("filling", b"row", &vec![7; 3 << 20])).unwrap();
    store.transact(|tx| tx.put("filling", b"row", &vec![8; 3 << 20])).unwrap();
    let done = store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    assert!(done.rewritten >= 2, "{done:?}");
    store.shut_down().unwrap();
    Image::read(dir.path())
}

/// The segment in which the most is packed.
fn largest(image: &Image) -> usize {
    (0..image.segments())
        .max_by_key(|number| match image.segment(*number) {
            file if file.starts_with(b"KINLOGCS") => u32_at(file, 148),
            _ => 0,
        })
        .unwrap()
}

fn edit(image: &mut Image, change: impl FnOnce(&mut Taken)) {
    let number = largest(image);
    let mut taken = Taken::of(image.segment(number));
    change(&mut taken);
    *image.segment_mut(number) = taken.put_together();
}

/// Changes the header, and its check.
fn edit_page(image: &mut Image, change: impl FnOnce(&mut [u8])) {
    let number = largest(image);
    let page = &mut image.segment_mut(number)[..PAGE];
    change(page);
    reseal(page);
}

/// Changes the table of blocks, and its check.
fn edit_blocks(image: &mut Image, change: impl FnOnce(&mut [u8])) {
    let number = largest(image);
    let file = image.segment_mut(number);
    let table = file.len() - 16 * u32_at(file, 148);
    change(&mut file[table..]);
    let check = crc32fast::hash(&file[table..]);
    file[156..160].copy_from_slice(&check.to_le_bytes());
    reseal(&mut file[..PAGE]);
}

/// What to do to the image.
type Case = (&'static str, fn(&mut Image));

const CASES: [Case; 19] = [
    ("the check of what a block holds is another one", |image| {
        edit_blocks(image, |table| table[8] ^= 1);
    }),
    ("the check of a block's bytes is another one", |image| {
        edit_blocks(image, |table| table[12] ^= 1);
    }),
    ("a block is longer than it says", |image| edit(image, |taken| taken.blocks[0].1 -= 4)),
    ("a block is shorter than it says", |image| edit(image, |taken| taken.blocks[0].1 += 4)),
    ("a block holds next to nothing, and says that it is 4 GiB long", |image| {
        edit(image, |taken| taken.blocks[0].1 = u32::MAX - 3);
    }),
    ("a block is no frame of zstd", |image| {
        edit(image, |taken| taken.blocks[0].0 = vec![7; 100]);
    }),
    ("two blocks have changed places", |image| edit(image, |taken| taken.blocks.swap(0, 1))),
    ("one block is missing", |image| edit(image, |taken| drop(taken.blocks.pop()))),
    ("one block is there twice", |image| {
        edit(image, |taken| taken.blocks.push(taken.blocks[0].clone()));
    }),
    ("a piece is in two blocks", |image| {
        edit(image, |taken| {
            let end = taken.unpacked(0).split_off(taken.blocks[0].1 as usize - 4);
            let second = [end, taken.unpacked(1)].concat();
            let first = taken.unpacked(0)[..taken.blocks[0].1 as usize - 4].to_vec();
            (taken.blocks[0], taken.blocks[1]) = (block_of(&first), block_of(&second));
        });
    }),
    ("a piece ends in a block, and begins before all blocks", |image| {
        edit(image, |taken| {
            let end = taken.plain.split_off(taken.plain.len() - 4);
            taken.blocks[0] = block_of(&[end, taken.unpacked(0)].concat());
        });
    }),
    ("a block holds something, and says that it does not", |image| {
        edit(image, |taken| taken.blocks.push((block_of(&[7; 100]).0, 0)));
    }),
    ("a block is two frames of zstd", |image| {
        edit(image, |taken| {
            let all = taken.unpacked(0);
            let (one, other) = all.split_at(all.len() / 2);
            taken.blocks[0].0 = [block_of(one).0, block_of(other).0].concat();
        });
    }),
    ("a block holds 1 GiB, and says so in its frame alone", |image| {
        edit(image, |taken| taken.blocks[0].0 = bomb(true));
    }),
    ("a block holds 1 GiB, and says so nowhere", |image| {
        edit(image, |taken| taken.blocks[0].0 = bomb(false));
    }),
    ("plain bytes are missing", |image| edit(image, |taken| drop(taken.plain.drain(..4)))),
    ("it says that nothing is packed", |image| {
        edit_page(image, |page| page[144..160].fill(0));
    }),
    ("more data is said to be there", |image| {
        edit_page(image, |page| page[75] = 0xf0);
    }),
    ("it is of a version that knew no packing", |image| {
        edit_page(image, |page| page[8] = 6);
    }),
];

#[test]
fn a_packed_segment_that_makes_no_sense_is_refused() {
    let image = packed();
    let mut whole = image.clone();
    edit(&mut whole, |taken| assert!(taken.blocks.len() >= 2));
    whole.assert_same(&image, "taken apart and put together");
    let dir = directory();
    whole.write(dir.path());
    small_segments().open(dir.path()).unwrap().verify(|_| ()).unwrap();
    for (what, change) in CASES {
        let dir = directory();
        let mut changed = image.clone();
        change(&mut changed);
        changed.write(dir.path());
        for read_only in [true, false] {
            let options = Options::new().segment_bytes(4 << 20).check_log(true);
            let opened = options.read_only(read_only).open(dir.path());
            assert!(matches!(opened, Err(Error::Corrupt(_))), "{what}: {opened:?}");
        }
        assert!(agree_on_damage(&dir), "{what}");
    }
}

/// Where the index is there, so that opening reads nothing of the segment: no event is made up, and no panic.
#[test]
fn whoever_reads_a_packed_segment_that_makes_no_sense_is_told() {
    let image = packed();
    let segment = segment_name(largest(&image));
    let dir = directory();
    image.write(dir.path());
    let runs: Vec<_> = {
        let store = Store::open(dir.path()).unwrap();
        let runs: Vec<_> =
            store.snapshot().runs(RunFilter::all()).map(|run| run.unwrap().id).collect();
        runs.iter().map(|run| told(&store, run).unwrap()).collect()
    };
    for (what, change) in CASES {
        let (dir, to) = (directory(), directory());
        let mut changed = image.clone();
        change(&mut changed);
        changed.write(dir.path());
        let is_told = |error: &Error| match error {
            Error::Corrupt(damage) => {
                assert!(damage.path.ends_with(&segment), "{what}: {damage:?}");
                let is_in_page = damage.what.starts_with("the page");
                assert!(damage.offset > 0 || is_in_page, "{what}: {damage:?}");
            }
            error => panic!("{what}: {error}"),
        };
        let report = salvage(dir.path(), to.path().join("salvaged"), &Options::new(), |_| ());
        let report = report.unwrap();
        let salvaged = Store::open(to.path().join("salvaged")).unwrap();
        salvaged.verify(|_| ()).unwrap();
        let is_whole = |run: &(RunId, _)| told(&salvaged, &run.0).is_ok_and(|now| now == *run);
        assert_eq!(report.is_complete(), runs.iter().all(is_whole), "{what}: {report:?}");
        for read_only in [true, false] {
            let store = match Options::new().read_only(read_only).open(dir.path()) {
                Ok(store) => store,
                Err(error) => {
                    is_told(&error);
                    continue;
                }
            };
            for run in &runs {
                match told(&store, &run.0) {
                    Ok(now) => assert_eq!(now, *run, "{what}"),
                    Err(error) => is_told(&error),
                }
            }
            is_told(&store.verify(|_| ()).unwrap_err());
            is_told(&store.space(&Compaction::new()).unwrap_err());
            is_told(&store.backup(to.path().join("backup"), None, |_| ()).unwrap_err());
            if !read_only {
                is_told(&store.compact(&Compaction::new().pack()).unwrap_err());
            }
        }
    }
}

/// A run and the payloads of its events.
fn told(store: &Store, run: &RunId) -> kinlog::Result<(RunId, Vec<Vec<u8>>)> {
    let history = store.history(run)?;
    let payload = |event: kinlog::Result<kinlog::Event<'_>>| Ok(event?.payload().to_vec());
    let forward = history.iter().map(payload).collect::<kinlog::Result<Vec<_>>>()?;
    let backward = history.rev().map(payload).collect::<kinlog::Result<Vec<_>>>()?;
    assert!(forward.iter().eq(backward.iter().rev()));
    Ok((*run, forward))
}

/// A file with holes costs whoever made it nothing, and would be read into memory as a whole.
#[test]
fn a_segment_that_is_longer_than_any_is_not_read() {
    let (image, dir) = (packed(), directory());
    image.write(dir.path());
    let number = largest(&image);
    let mut file = image.segment(number).to_vec();
    let pieces = 100_000_000;
    file[68..72].copy_from_slice(&(pieces as u32).to_le_bytes());
    reseal(&mut file[..PAGE]);
    let len = file.len() + 12 * (pieces - u32_at(image.segment(number), 68));
    let path = dir.path().join(segment_name(number));
    std::fs::write(&path, file).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(len as u64).unwrap();
    match Options::new().open(dir.path()) {
        Err(Error::Corrupt(damage)) => assert_eq!((damage.offset, damage.found), (68, len as u64)),
        opened => panic!("{opened:?}"),
    }
    assert!(agree_on_damage(&dir));
}

/// Another writer may pack rows, too. All that is read of a commit's is one copy.
#[test]
fn rows_may_be_packed() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap().0;
    store.close_run(&run, Close::completed(b"ok")).unwrap();
    let (keys, value) = (0..50u8, [7; 200]);
    store.transact(|tx| keys.clone().try_for_each(|key| tx.put("rows", &[key], &value))).unwrap();
    for key in 0..9 {
        store.transact(|tx| tx.put("filling", &[key], &[7; 10_000])).unwrap();
    }
    store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    store.shut_down().unwrap();
    let mut image = Image::read(dir.path());
    edit(&mut image, |taken| {
        let plain = std::mem::take(&mut taken.plain);
        let block = zstd::bulk::compress(&plain, 1).unwrap();
        taken.blocks.insert(0, (block, plain.len() as u32));
    });
    image.write(dir.path());
    assert!(!agree_on_damage(&dir));
    let store = small_segments().check_log(true).open(dir.path()).unwrap();
    let snapshot = store.snapshot();
    let rows: Vec<_> = snapshot.rows_with_prefix("rows", b"").map(|row| row.unwrap()).collect();
    assert!(rows.iter().map(|row| (row.key[0], row.value)).eq(keys.map(|key| (key, &value[..]))));
    let places: Vec<_> = rows.iter().map(|row| row.value.as_ptr().addr()).collect();
    assert!(places.windows(2).all(|two| (200..300).contains(&(two[1] - two[0]))), "{places:?}");
}

#[test]
fn no_bit_of_a_packed_segment_is_another_one_unseen() {
    let image = packed();
    let number = largest(&image);
    let len = image.segment(number).len();
    let plain = u32_at(image.segment(number), 144);
    let mut rng = Rng::new(5);
    let anywhere: Vec<_> = (0..60).map(|_| PAGE + rng.below(len - PAGE)).collect();
    let tables = len - 16..len;
    for at in anywhere.into_iter().chain(140..FIELDS).chain(tables) {
        let dir = directory();
        let mut changed = image.clone();
        changed.segment_mut(number)[at] ^= 1 << rng.below(8);
        changed.write(dir.path());
        let opened = Options::new().check_log(true).open(dir.path());
        assert!(matches!(opened, Err(Error::Corrupt(_))), "{at} of {len}, {plain}: {opened:?}");
        if rng.chance(20) {
            assert!(agree_on_damage(&dir), "{at} of {len}");
        }
    }
}

/// Whether the library and the reader in Python, if it is there, both find damage in a store.
fn agree_on_damage(dir: &tempfile::TempDir) -> bool {
    let _ = std::fs::remove_dir_all(dir.path().join("index"));
    agree_on_verdict(dir.path()).is_none_or(|verdict| verdict.is_err())
}
