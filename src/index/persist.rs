//! Writing a frozen layer into a file of the cold index, and merging files.

use std::sync::Arc;

use super::cold::{
    Cold, Family, FileEntry, IndexFile, KINDS, hash_key, number_key, place_key, row_key,
};
use super::state::{FrozenIndex, Layer, ListLayer, Record, Run, Workflow};
use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::format::Paths;
use crate::sorted::{SortedFile, SortedWriter, Summary, merge};

/// How many files of one level are merged into one of the next.
const TIER: usize = 8;

/// Writes a frozen layer, whose first commit is the one at `from`, into a file of its own, and opens that.
pub(crate) fn write_layer(
    disk: &dyn Disk,
    paths: &Paths,
    frozen: &FrozenIndex,
    from: Position,
) -> Result<Arc<IndexFile>> {
    let named = FileEntry { from, upto: frozen.upto, level: 0, len: 0, checksum: 0 };
    write_file(disk, paths, named, |mut writer| {
        write_numbered(&mut writer, &frozen.runs)?;
        write_hashed(&mut writer, Family::RunIds, &frozen.runs, |run| Run::hash(&run.id))?;
        write_numbered(&mut writer, &frozen.workflows)?;
        write_hashed(&mut writer, Family::WorkflowIds, &frozen.workflows, Workflow::own_hash)?;
        write_numbered(&mut writer, &frozen.chains)?;
        write_rows(&mut writer, frozen)?;
        write_list(&mut writer, Family::Started, &frozen.listing.started)?;
        write_list(&mut writer, Family::Closed, &frozen.listing.closed)?;
        write_list(&mut writer, Family::Outcomes, &frozen.listing.outcomes)?;
        write_list(&mut writer, Family::Gone, &frozen.listing.gone)?;
        writer.finish()
    })
}

/// The files to be merged next, if there are enough of one level: the oldest ones, neighbours, the newest one first.
pub(crate) fn mergeable(cold: &Cold) -> Option<&[Arc<IndexFile>]> {
    let tiers = cold.files().chunk_by(|a, b| a.entry.level == b.entry.level);
    tiers.into_iter().find_map(|tier| tier.last_chunk::<TIER>().map(|files| files.as_slice()))
}

/// How many files wait to be merged; merging them may make others wait.
pub(crate) fn unmerged(cold: &Cold) -> usize {
    let tiers = cold.files().chunk_by(|a, b| a.entry.level == b.entry.level);
    tiers.map(|tier| tier.len() - tier.len() % TIER).sum()
}

/// Merges neighbours, the newest one first, into one file of the next level, and opens that. `pace` may end the merge.
pub(crate) fn merge_files(
    disk: &dyn Disk,
    paths: &Paths,
    cold: &Cold,
    files: &[Arc<IndexFile>],
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Arc<IndexFile>> {
    let (Some(newest), Some(oldest)) = (files.first(), files.last()) else {
        return Err(Error::internal("no file of the index is merged"));
    };
    let (from, upto) = (oldest.entry.from, newest.entry.upto);
    let level = newest.entry.level.saturating_add(1);
    let named = FileEntry { from, upto, level, len: 0, checksum: 0 };
    // What is deleted must be told as long as an older file may have it.
    let is_oldest = cold.files().last().is_some_and(|last| last.entry == oldest.entry);
    let inputs: Vec<&SortedFile> = files.iter().rev().map(|file| &file.sorted).collect();
    write_file(disk, paths, named, |writer| merge(&inputs, writer, is_oldest, pace))
}

/// Writes a file of the cold index. If that fails, nothing of it is left.
fn write_file(
    disk: &dyn Disk,
    paths: &Paths,
    named: FileEntry,
    write: impl FnOnce(SortedWriter) -> Result<Summary>,
) -> Result<Arc<IndexFile>> {
    let path = named.path(paths);
    // What an attempt has left that ended between.
    let _ = disk.remove(&path);
    let written = SortedWriter::create(disk, &path, &KINDS).and_then(write);
    let opened = written.and_then(|Summary { len, checksum, .. }| {
        IndexFile::open(disk, paths, FileEntry { len, checksum, ..named })
    });
    if opened.is_err() {
        let _ = disk.remove(&path);
    }
    opened.map(Arc::new)
}

fn write_numbered<V: Record>(writer: &mut SortedWriter, layer: &Layer<V>) -> Result<()> {
    let entries = layer.sorted();
    writer.begin(V::FAMILY.section(), wide(entries.len()))?;
    let mut value = vec![];
    for (number, entry) in entries {
        let Some(entry) = entry else {
            writer.add(&number_key(number), None)?;
            continue;
        };
        value.clear();
        entry.encode(number, &mut value);
        debug_assert!(comes_back::<V>(number, &value), "the entry {number} is written, and lost");
        writer.add(&number_key(number), Some(&value))?;
    }
    Ok(())
}

/// Whether the entry with these bytes has them again once it was read.
fn comes_back<V: Record>(number: u32, bytes: &[u8]) -> bool {
    let mut again = vec![];
    if let Some(entry) = V::decode_whole(number, bytes) {
        entry.encode(number, &mut again);
    }
    again == bytes
}

fn write_hashed<V>(
    writer: &mut SortedWriter,
    family: Family,
    layer: &Layer<V>,
    hash: impl Fn(&V) -> u64,
) -> Result<()> {
    let came = layer.came().map(|(number, entry)| (hash_key(hash(entry), number), true));
    let erased = layer.erased().iter();
    let erased = erased.map(|(hash, number)| (hash_key(*hash, *number), false));
    let mut entries: Vec<_> = came.chain(erased).collect();
    entries.sort_unstable();
    writer.begin(family.section(), wide(entries.len()))?;
    for (key, is_there) in entries {
        writer.add(&key, is_there.then_some(&[]))?;
    }
    Ok(())
}

fn write_list(writer: &mut SortedWriter, family: Family, list: &ListLayer) -> Result<()> {
    writer.begin(family.section(), wide(list.len()))?;
    let mut entries = list.iter();
    entries.try_for_each(|(place, taken)| {
        writer.add(&place_key(place.as_u128()), taken.is_none().then_some(&[]))
    })
}

fn write_rows(writer: &mut SortedWriter, frozen: &FrozenIndex) -> Result<()> {
    let mut tables: Vec<_> =
        frozen.rows.iter().map(|(name, rows)| (row_key(name, &[]), rows)).collect();
    tables.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let rows = tables.iter().map(|(_, rows)| wide(rows.len())).sum();
    writer.begin(Family::Rows.section(), rows)?;
    let mut value = vec![];
    for (mut key, rows) in tables {
        let prefix = key.len();
        for (of, row) in rows.iter() {
            key.truncate(prefix);
            key.extend_from_slice(of);
            value.clear();
            if let Some(row) = row {
                row.encode(&mut value);
            }
            writer.add(&key, row.map(|_| value.as_slice()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use kinlog_testing::Rng;
    use kinlog_testing::files::directory;
    use kinlog_testing::steps::families;

    use super::{merge_files, mergeable, unmerged, write_layer};
    use crate::disk::{Disk, Memory, OpenMode};
    use crate::error::Result;
    use crate::id::Position;
    use crate::index::cold::{Cold, Family, IndexFile, KINDS, hash_key, number_key};
    use crate::index::state::Record;
    use crate::index::{FrozenEntries, Index, Run};
    use crate::log::format::Paths;
    use crate::log::open::Replay;
    use crate::{Durability, NewRun, Options, RunId, Store};

    /// The index over the commits of a store, in files.
    struct Written {
        disk: Memory,
        paths: Paths,
        index: Index,
        cold: Arc<Cold>,
        resident: Vec<u8>,
        /// The memory that open runs may take.
        open_max: u64,
        /// A reader needs the frozen layers.
        is_held: bool,
    }

    impl Written {
        fn new() -> Self {
            let (disk, paths) = (Memory::new(), Paths { root: PathBuf::from("/store") });
            disk.create_dir(&paths.index()).unwrap();
            let (index, cold) = (Index::default(), Arc::default());
            let (resident, open_max) = (vec![], 1 << 20);
            Written { disk, paths, index, cold, resident, open_max, is_held: false }
        }

        /// The index over all commits, frozen before those with these numbers, and at the end.
        fn over(store: &Store, freezes: impl Fn(usize) -> bool) -> Self {
            let mut written = Self::new();
            for (number, frame) in store.shared.published.view().frames(Position::START).enumerate()
            {
                if number > 0 && freezes(number) {
                    written.freeze();
                }
                written.index.commit(&frame.unwrap()).unwrap();
            }
            written.freeze();
            written
        }

        fn freeze(&mut self) {
            let layer = self.index.freeze();
            let from = self.index.files_upto().unwrap_or(Position::START);
            let file = write_layer(&self.disk, &self.paths, &layer, from).unwrap();
            let files = std::iter::once(file).chain(self.cold.files().iter().cloned());
            self.adopt(files.collect());
            if !self.is_held {
                self.index.frozen_upto(layer.upto).iter().for_each(FrozenEntries::leave_open);
                drop(self.index.thin(layer.upto, self.open_max));
            }
            self.resident = layer.resident;
            if self.cold.files().len() > 4 {
                self.merge(3);
            }
        }

        /// Merges the newest files.
        fn merge(&mut self, count: usize) {
            let (newest, older) = self.cold.files().split_at(count);
            let merged =
                merge_files(&self.disk, &self.paths, &self.cold, newest, &mut |_| Ok(())).unwrap();
            self.adopt(std::iter::once(merged).chain(older.iter().cloned()).collect());
        }

        fn adopt(&mut self, files: Vec<Arc<IndexFile>>) {
            self.cold = Arc::new(Cold::new(files));
            self.index.adopt(&self.cold);
        }

        /// The bytes of the only file.
        fn bytes(&self) -> Vec<u8> {
            let [file] = self.cold.files() else { panic!("there are several") };
            let file = self.disk.open(&file.entry.path(&self.paths), OpenMode::Read).unwrap();
            let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
            file.read_at(&mut bytes, 0).unwrap();
            bytes
        }
    }

    /// The numbered entries of an index, as files have them, in order.
    fn entries(index: &Index) -> Vec<Vec<u8>> {
        let mut entries = vec![];
        for (number, run) in index.runs.iter() {
            assert_eq!(index.runs.number(&run.id), Some(number));
            let links = index.runs.links(number).map(|links| Box::new(links.into_owned()));
            let workflow = run.workflow.as_u32();
            let (_, found) = index.namespaces.workflow(run.workflow).unwrap();
            let mut bytes = vec![];
            Run { links, ..run.into_owned() }.encode(number.as_u32(), &mut bytes);
            found.encode(workflow, &mut bytes);
            entries.push(bytes);
        }
        for (number, chain) in index.chains.iter() {
            let mut bytes = vec![];
            chain.encode(number.as_u32(), &mut bytes);
            entries.push(bytes);
        }
        entries
    }

    #[test]
    fn what_stays_in_memory_is_as_the_commits_have_it_however_little_that_may_be() {
        let mut stayed = 0;
        for seed in 0..24 {
            let dir = directory();
            families(dir.path(), 1 + u8::try_from(seed % 3).unwrap());
            let store = opened(dir.path());
            let mut rng = Rng::new(seed);
            let (mut written, mut beside) = (Written::new(), Index::default());
            written.open_max = rng.draw() % (16 << 10);
            for frame in store.shared.published.view().frames(Position::START) {
                let frame = frame.unwrap();
                written.index.commit(&frame).unwrap();
                beside.commit(&frame).unwrap();
                if rng.chance(50) {
                    written.is_held = rng.chance(50);
                    written.freeze();
                    let open = written.index.open_bytes();
                    assert!(open <= written.open_max, "{open} of {} B", written.open_max);
                    stayed = stayed.max(open);
                    // As after a new opening.
                    if rng.chance(10) {
                        written.index = Index::decode(&written.cold, &written.resident).unwrap();
                    }
                }
                if rng.chance(50) {
                    assert!(entries(&written.index) == entries(&beside), "seed {seed}");
                }
            }
        }
        assert!(stayed > 2 << 10, "{stayed} B stayed");
    }

    fn opened(dir: &Path) -> Store {
        Options::new().read_only(true).open(dir).unwrap()
    }

    #[test]
    fn what_is_merged_into_one_file_is_the_same_wherever_it_was_frozen() {
        let dir = directory();
        families(dir.path(), 3);
        let store = opened(dir.path());
        let at_once = Written::over(&store, |_| false);
        for every in [1, 2, 3, 5, 8, 13] {
            let mut written = Written::over(&store, |number| number % every == 0);
            let files = written.cold.files().len();
            assert!(files > 1, "one file for {every}");
            written.merge(files);
            assert!(written.bytes() == at_once.bytes(), "frozen before each {every}th commit");
            assert_eq!(written.resident, at_once.resident);
        }
    }

    /// So that each merge takes in the same layers, however many came before it began.
    #[test]
    fn the_oldest_eight_of_a_level_are_merged_first() {
        let mut written = Written::new();
        let layer = written.index.freeze();
        let file = |from| {
            let from = Position::from_u64(from);
            write_layer(&written.disk, &written.paths, &layer, from).unwrap()
        };
        // The newest one first.
        let files: Vec<_> = (0..10).rev().map(file).collect();
        let froms = |files: &[Arc<IndexFile>]| -> Vec<u64> {
            files.iter().map(|file| file.entry.from.as_u64()).collect()
        };
        let merged = mergeable(&Cold::new(files.clone())).map(froms);
        assert_eq!(merged, Some((0..8).rev().collect()));
        let fewer = Cold::new(files[3..].to_vec());
        assert!(mergeable(&fewer).is_none());
        assert_eq!((unmerged(&Cold::new(files)), unmerged(&fewer)), (8, 0));
    }

    #[test]
    fn ids_whose_hashes_begin_alike_are_told_apart() {
        let ids = [[0x19, 0x26, 0x09], [0x19, 0xa6, 0xaf]];
        let ids = ids
            .map(|[a, b, c]| RunId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c]));
        let [one, other] = ids.map(|id| hash_key(Run::hash(&id), 0));
        assert!(one == other && Run::hash(&ids[0]) != Run::hash(&ids[1]));
        let dir = directory();
        let store = Options::new().open(dir.path()).unwrap();
        for (id, workflow) in ids.into_iter().zip(["one", "other"]) {
            let mut tx = store.begin();
            tx.start(NewRun::new("default", workflow, "type").id(id)).unwrap();
            tx.commit_with(Durability::Buffered).unwrap();
        }
        for frozen_between in [false, true] {
            let written = Written::over(&store, |_| frozen_between);
            let found = ids.map(|id| written.index.runs.number(&id).unwrap().as_u32());
            assert_eq!(found, [0, 1]);
        }
    }

    #[test]
    fn a_changed_byte_of_a_file_is_found_or_changes_no_answer() {
        let dir = directory();
        families(dir.path(), 1);
        let written = Written::over(&opened(dir.path()), |_| false);
        let (disk, paths, index) = (&written.disk, &written.paths, &written.index);
        let entry = written.cold.files()[0].entry;
        let look = |cold: &Cold| -> Result<Vec<Option<Vec<u8>>>> {
            let keys = (0..8).map(number_key);
            let families = [Family::Runs, Family::Workflows, Family::Chains];
            let entries = keys.flat_map(|key| families.map(|family| cold.get(family, &key)));
            let mut found: Vec<_> = entries.map(|entry| entry.map(<[u8]>::to_vec)).collect();
            found.push(cold.row("orders", &[0]).map(<[u8]>::to_vec));
            cold.check().map(|()| found)
        };
        let expected = look(&written.cold).unwrap();
        assert!(expected.iter().flatten().count() > index.runs.iter().count());
        let bytes = written.bytes();
        let file = disk.open(&entry.path(paths), OpenMode::Write).unwrap();
        let mut met = 0;
        for (at, byte) in bytes.iter().enumerate() {
            file.write_at(&[byte ^ 1 << (at % 8)], at as u64).unwrap();
            let opened = IndexFile::open(disk, paths, entry);
            match opened.and_then(|file| look(&Cold::new(vec![Arc::new(file)]))) {
                Ok(found) => assert!(found == expected, "at {at}"),
                Err(_) => met += 1,
            }
            file.write_at(&[*byte], at as u64).unwrap();
        }
        assert!(met > bytes.len() / 2, "{met} of {}", bytes.len());
    }

    #[test]
    fn what_is_resident_is_decoded_or_refused_whatever_its_bytes_are() {
        let dir = directory();
        families(dir.path(), 1);
        let written = Written::over(&opened(dir.path()), |_| false);
        let (cold, resident) = (&written.cold, &written.resident);
        let again = Index::decode(cold, resident).unwrap();
        assert!(again.has_same_sums(&written.index));
        for at in 0..resident.len() {
            assert!(Index::decode(cold, &resident[..at]).is_none(), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = resident.clone();
                bytes[at] ^= 1 << bit;
                // It may be another index; what is damaged does not get so far.
                let _ = Index::decode(cold, &bytes);
            }
        }
        assert_eq!(KINDS.len(), 10, "all kinds are looked at above, but for those without values");
    }
}
