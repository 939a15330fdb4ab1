//! Verification of the index's files: every byte of them, and all that they say against an index that is built anew.

use std::io::ErrorKind::NotFound;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Corruption, Error, Result};
use crate::id::Position;
use crate::index::cold::{Checkpoint, Cold, IndexFile, checkpoint_bytes};
use crate::index::{Index, Place, RunList};
use crate::log::format::{Frame, Paths};
use crate::log::open::Covered;
use crate::store::indexing::Loaded;
use crate::store::read::Snapshot;
use crate::store::shared::Store;

/// Rows that are compared under one look at the index.
const ROWS: usize = 1024;

/// The index as it is stored, whose bytes are verified. It is compared once the log was read as far as it goes.
pub(super) struct StoredIndex(Loaded);

impl Store {
    /// Reads the index that an opening would use, and checks every byte of it; `None` if there is none.
    pub(super) fn stored_index(&self) -> Result<Option<StoredIndex>> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        loop {
            let Some(bytes) = checkpoint_bytes(disk, paths)? else { return Ok(None) };
            let found = self.read_stored(&bytes);
            // A writer that has switched to other files meanwhile has removed some.
            if found.is_ok() || checkpoint_bytes(disk, paths)?.as_ref() == Some(&bytes) {
                return Ok(found?.map(StoredIndex));
            }
        }
    }

    fn read_stored(&self, bytes: &[u8]) -> Result<Option<Loaded>> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        if Checkpoint::is_of_another_version(bytes) {
            return Ok(None);
        }
        let path = paths.checkpoint();
        let malformed = || damaged(&path, "the checkpoint of the index is damaged");
        let checkpoint = Checkpoint::decode(bytes).ok_or_else(malformed)?;
        let open = |entry| match IndexFile::open(disk, paths, entry) {
            Err(Error::Io { path, source, .. }) if source.kind() == NotFound => {
                Err(damaged(&path, "the file is missing"))
            }
            opened => opened.map_err(Error::of_index),
        };
        let files = checkpoint.files.iter().map(|entry| open(*entry).map(Arc::new));
        let files: Vec<_> = files.collect::<Result<_>>()?;
        files.iter().try_for_each(|file| file.sorted.verify()).map_err(Error::of_index)?;
        let cold = Arc::new(Cold::new(files));
        let index = Index::decode(&cold, &checkpoint.resident).ok_or_else(malformed)?;
        Ok(Some(Loaded { index, cold, covered: checkpoint.covered }))
    }

    /// Compares sums and the rows of tables with those in use, unless something was committed since.
    pub(super) fn verify_tables(&self, snapshot: &Snapshot, fresh: &Index) -> Result<()> {
        let is_current = |index: &Index| index.last == fresh.last;
        let view = snapshot.view();
        {
            let index = snapshot.index();
            if is_current(&index) && !fresh.has_same_sums(&index) {
                let what = "sums, namespaces, types, duties or tables differ from the log";
                return Err(view.corrupt(view.end, what, 0, 0));
            }
        }
        for (table, ..) in fresh.tables.sizes() {
            let mut last: Option<Box<[u8]>> = None;
            loop {
                let index = snapshot.index();
                if !is_current(&index) {
                    return Ok(());
                }
                let compared = compare_rows(fresh, &index, table, last.as_deref());
                let what = "the rows of a table differ from the log";
                last = compared.map_err(|()| view.corrupt(view.end, what, 0, 0))?;
                if last.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Compares the runs listed by their times with those in use, unless something was committed since.
    pub(super) fn verify_lists(&self, snapshot: &Snapshot, fresh: &Index) -> Result<()> {
        let view = snapshot.view();
        for list in RunList::ALL {
            let mut rest = Place::ALL;
            loop {
                let index = snapshot.index();
                if index.end != view.end {
                    return Ok(());
                }
                let expected = fresh.in_list(list, rest.clone(), fresh.end).take(ROWS);
                let expected: Vec<_> = expected.collect();
                if !index
                    .in_list(list, rest.clone(), index.end)
                    .take(ROWS)
                    .eq(expected.iter().copied())
                {
                    let what = "the runs listed by a time differ from the log";
                    return Err(view.corrupt(view.end, what, 0, 0));
                }
                let Some(last) = expected.last() else { break };
                rest.start = last.next();
            }
        }
        Ok(())
    }

    /// The error for an index in use that is not what follows from the log, which was found sound: that of its files,
    /// if it has any.
    pub(super) fn of_index_in_use(&self, error: Error) -> Error {
        let index = self.shared.index.read();
        match (index.check_cold(), error) {
            (Err(damage), _) => damage,
            (Ok(()), Error::Corrupt(found)) if index.has_files() => {
                let (path, offset) = (self.shared.paths.index(), 0);
                Error::DamagedIndex(Box::new(Corruption { path, offset, ..*found }))
            }
            (Ok(()), error) => error,
        }
    }
}

impl StoredIndex {
    /// Whether it was stored after this commit.
    pub(super) fn is_after(&self, frame: &Frame<'_>) -> bool {
        self.0.covered == Covered { last: frame.position, checksum: frame.checksum }
    }

    /// Whether it was stored before all commits up to `position` were taken in.
    pub(super) fn is_before(&self, position: Position) -> bool {
        self.0.covered.last < position
    }

    /// Compares it with an index that was built anew from the same commits.
    pub(super) fn compare(&self, fresh: &Index, paths: &Paths) -> Result<()> {
        let differs = fresh.differs_from_stored(&self.0.index);
        self.0.cold.check()?;
        differs.map_or(Ok(()), |what| Err(damaged(&paths.index(), what)))
    }
}

/// Compares the next rows of a table; returns the last of their keys, if there was any.
fn compare_rows(
    fresh: &Index,
    index: &Index,
    table: &str,
    after: Option<&[u8]>,
) -> Result<Option<Box<[u8]>>, ()> {
    let after = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut expected = fresh.tables.rows_after(table, after).take(ROWS);
    let mut found = index.tables.rows_after(table, after).take(ROWS);
    let mut last = None;
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Ok(last.map(Box::from)),
            (row, other) if row == other => last = row.map(|(key, _)| key),
            _ => return Err(()),
        }
    }
}

fn damaged(path: &Path, what: &'static str) -> Error {
    let (path, runs) = (path.to_owned(), vec![]);
    Error::DamagedIndex(Box::new(Corruption { path, offset: 0, what, expected: 0, found: 0, runs }))
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;
    use std::path::Path;

    use kinlog_testing::files::{Image, PAGE, directory};

    use crate::disk::{Disk, FileSystem};
    use crate::error::Error;
    use crate::index::cold::{
        Checkpoint, Family, FileEntry, IndexFile, KINDS, read_checkpoint, write_checkpoint,
    };
    use crate::log::format::Paths;
    use crate::retention::Keep;
    use crate::sorted::SortedWriter;
    use crate::store::tx::{Close, NewRun};
    use crate::store::{Options, Store};

    fn options() -> Options {
        Options::new().segment_bytes(1 << 16).memory_bytes(0)
    }

    /// A store whose index has something in every section.
    fn indexed() -> Image {
        let dir = directory();
        let store = options().open(dir.path()).unwrap();
        for number in 0..8 {
            let mut tx = store.begin();
            let run = tx.start(NewRun::new("shop", &format!("order-{number}"), "Order")).unwrap();
            tx.put("orders", &[number], b"paid").unwrap();
            tx.put("orders", b"last", &[number]).unwrap();
            tx.close_run(&run, Close::completed(b"ok")).unwrap();
            tx.commit().unwrap();
        }
        store.shut_down().unwrap();
        // Until no layer waits to be written that would leave no room for the next.
        options().open(dir.path()).unwrap().shut_down().unwrap();
        let store = options().open(dir.path()).unwrap();
        for (order, keep) in [("order-6", Keep::Nothing), ("order-7", Keep::Outcome)] {
            let run = store.current_run("shop", order).unwrap().unwrap();
            store.transact(|tx| tx.delete_run(&run, keep)).unwrap();
        }
        // What came before a commit is frozen.
        store.transact(|tx| tx.put("orders", b"done", b"")).unwrap();
        store.shut_down().unwrap();
        Image::read_but_lock(dir.path())
    }

    /// What verifying the store comes to after a change of its index, all checksums of which are right.
    fn verified(
        image: &Image,
        change: impl FnOnce(&dyn Disk, &Paths, &mut Checkpoint),
    ) -> Result<(), Error> {
        let dir = directory();
        image.write(dir.path());
        changed(dir.path(), change).verify(|_| ()).map(|_| ())
    }

    /// A reader of the store after such a change.
    fn changed(dir: &Path, change: impl FnOnce(&dyn Disk, &Paths, &mut Checkpoint)) -> Store {
        let (disk, paths) = (FileSystem::new(), Paths { root: dir.to_owned() });
        let mut checkpoint = read_checkpoint(&disk, &paths).unwrap();
        change(&disk, &paths, &mut checkpoint);
        write_checkpoint(&disk, &paths, &checkpoint).unwrap();
        options().read_only(true).open(dir).unwrap()
    }

    #[test]
    fn an_index_that_was_stored_after_an_opening_between_two_segments_is_sound() {
        let dir = directory();
        let store = options().open(dir.path()).unwrap();
        let commit = |store: &Store, id: &str, bytes| {
            let mut tx = store.begin();
            tx.start(NewRun::new("shop", id, "Order").input(&vec![7; bytes])).unwrap();
            tx.commit().unwrap();
        };
        // A seal, and a commit behind it that was lost with the power.
        commit(&store, "first", 40_000);
        commit(&store, "lost", 40_000);
        let mut image = Image::read_but_lock(dir.path());
        // The next one may have been prepared, too.
        image.segment_mut(1)[PAGE..].fill(0);
        image.0.retain(|name, _| !name.starts_with("index"));
        let dir = directory();
        image.write_killed(dir.path());
        let store = options().open(dir.path()).unwrap();
        // Before this one the index is frozen, where there is no commit in the last segment.
        commit(&store, "next", 10);
        store.shut_down().unwrap();
        let store = options().open(dir.path()).unwrap();
        assert_eq!(store.stats().unwrap().index.files, 1);
        store.verify(|_| ()).unwrap();
    }

    #[test]
    fn an_entry_that_a_file_lacks_is_damage_and_not_a_run_that_never_was() {
        let dir = directory();
        indexed().write(dir.path());
        let whole = options().read_only(true).open(dir.path()).unwrap();
        let run = whole.current_run("shop", "order-0").unwrap().unwrap();
        for section in [Family::Runs, Family::Workflows, Family::Chains] {
            let dir = directory();
            Image::read_but_lock(whole.path()).write(dir.path());
            let reader = changed(dir.path(), |disk, paths, checkpoint| {
                let oldest = checkpoint.files.last_mut().unwrap();
                without_one(disk, paths, oldest, section.section());
            });
            let found = reader.run(&run);
            assert!(matches!(found, Err(Error::DamagedIndex(_))), "{section:?}: {found:?}");
        }
    }

    /// Writes a file anew without the first entry of a section.
    fn without_one(disk: &dyn Disk, paths: &Paths, entry: &mut FileEntry, section: usize) {
        let file = IndexFile::open(disk, paths, *entry).unwrap();
        disk.remove(&entry.path(paths)).unwrap();
        let mut writer = SortedWriter::create(disk, &entry.path(paths), &KINDS).unwrap();
        for number in 0..KINDS.len() {
            let left_out = usize::from(number == section);
            let entries = file.sorted.range(number, (Bound::Unbounded, Bound::Unbounded)).unwrap();
            let entries: Vec<_> = entries.map(Result::unwrap).skip(left_out).collect();
            writer.begin(number, entries.len() as u64).unwrap();
            entries.iter().for_each(|(key, value)| writer.add(key, *value).unwrap());
        }
        let written = writer.finish().unwrap();
        (entry.len, entry.checksum) = (written.len, written.checksum);
    }

    #[test]
    fn an_index_that_lacks_something_is_found_out_though_its_checksums_are_right() {
        let image = indexed();
        verified(&image, |_, _, _| ()).unwrap();
        let found = |what: &str, verified: Result<(), Error>| {
            assert!(matches!(verified, Err(Error::DamagedIndex(_))), "{what}: {verified:?}");
        };
        for section in 0..KINDS.len() {
            let verified = verified(&image, |disk, paths, checkpoint| {
                let mut files = checkpoint.files.iter_mut().rev();
                let holder = files.find(|entry| {
                    let file = IndexFile::open(disk, paths, **entry).unwrap();
                    let mut all =
                        file.sorted.range(section, (Bound::Unbounded, Bound::Unbounded)).unwrap();
                    all.next().is_some()
                });
                without_one(disk, paths, holder.unwrap(), section);
            });
            found(&format!("section {section}"), verified);
        }
        let newest = verified(&image, |_, _, checkpoint| {
            checkpoint.files.remove(0);
        });
        found("the newest file", newest);
        let order = verified(&image, |_, _, checkpoint| checkpoint.files.reverse());
        found("the order of files", order);
        for at in 0..16 {
            let verified = verified(&image, |_, _, checkpoint| checkpoint.resident[at] ^= 1);
            found(&format!("byte {at} of what is resident"), verified);
        }
    }
}
