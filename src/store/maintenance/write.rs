//! Writing frozen layers into files, merging these, and switching from one checkpoint to the next.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::index::FrozenIndex;
use crate::index::cold::{
    Checkpoint, Cold, IndexFile, read_checkpoint, remove_checkpoint, remove_others,
    write_checkpoint,
};
use crate::index::persist::{merge_files, mergeable, write_layer};
use crate::log::files::refuse_link;
use crate::log::open::Covered;
use crate::recorder::{
    INDEX_FAILURES, INDEX_FILES, INDEX_MERGE_SECONDS, INDEX_WRITE_SECONDS, INDEX_WRITTEN_BYTES,
};
use crate::store::shared::Shared;

/// The state on disk of a writer's cold index.
pub(crate) struct IndexWriter<'s> {
    shared: &'s Shared,
    cold: Arc<Cold>,
    newest: Newest,
}

/// What the newest file has taken in last.
#[derive(Clone, Default)]
struct Newest {
    /// The last commit.
    last: Position,
    /// What is resident as of it.
    resident: Vec<u8>,
}

/// Removes a checkpoint of which nothing was loaded: it must not outlive its files. If that fails, the next opening
/// loads nothing of it either.
pub(crate) fn discard_unused(shared: &Shared, cold: &Cold) {
    let disk = shared.disk.as_ref();
    if cold.files().is_empty() && shared.location.check(disk).is_ok() {
        let _ = remove_checkpoint(disk, &shared.paths);
    }
}

impl<'s> IndexWriter<'s> {
    /// Goes on with what was loaded, and removes what an earlier writer has left.
    pub(crate) fn new(shared: &'s Shared, cold: Arc<Cold>) -> Self {
        let writer = IndexWriter { shared, cold, newest: Newest::default() };
        writer.remove_others();
        writer
    }

    fn disk(&self) -> &'s dyn Disk {
        self.shared.disk.as_ref()
    }

    /// Writes the layer that waits longest; whether that worked.
    pub(crate) fn write_next(&mut self, layer: &FrozenIndex) -> bool {
        let freezer = &self.shared.freezer;
        match self.write(layer) {
            Ok(()) => {
                freezer.written();
                true
            }
            Err(error) => {
                freezer.failed(error);
                self.shared.recording.add(&INDEX_FAILURES, &[], 1);
                false
            }
        }
    }

    /// Writes a frozen layer into a file, once the log is durable up to there.
    fn write(&mut self, layer: &FrozenIndex) -> Result<()> {
        self.shared.writer()?.await_durable(layer.upto)?;
        let from = self.cold.files().first().map_or(Position::START, |newest| newest.entry.upto);
        self.check_place()?;
        let dir = self.shared.paths.index();
        self.disk().create_dir(&dir).map_err(|e| Error::io("create", dir, e))?;
        let recording = &self.shared.recording;
        let began = recording.now();
        let file = write_layer(self.disk(), &self.shared.paths, layer, from)?;
        recording.observe_since(&INDEX_WRITE_SECONDS, &[], began);
        recording.add(&INDEX_WRITTEN_BYTES, &[], file.entry.len);
        let files = std::iter::once(file).chain(self.cold.files().iter().cloned());
        let newest = Newest { last: layer.last, resident: layer.resident.clone() };
        self.switch(files.collect(), newest)?;
        self.shared.thin(layer.upto);
        Ok(())
    }

    /// Merges the files that an earlier writer has left to be merged when it ended.
    pub(crate) fn merge_left(&mut self) -> Result<()> {
        if mergeable(&self.cold).is_none() {
            return Ok(());
        }
        let found = read_checkpoint(self.disk(), &self.shared.paths);
        let entries = |cold: &Cold| cold.files().iter().map(|file| file.entry).collect::<Vec<_>>();
        match found.filter(|found| found.files == entries(&self.cold)) {
            Some(Checkpoint { covered, resident, .. }) => {
                self.newest = Newest { last: covered.last, resident };
                self.merge()
            }
            None => Ok(()),
        }
    }

    /// Merges files as long as there are enough of one level. Layers that come meanwhile are written in between, so that no
    /// more of the log is ahead of the files than one layer takes. Ends when no layer comes any more.
    pub(crate) fn merge(&mut self) -> Result<()> {
        let (shared, disk) = (self.shared, self.disk());
        loop {
            let cold = self.cold.clone();
            let Some(files) = mergeable(&cold) else { return Ok(()) };
            self.check_place()?;
            let began = shared.recording.now();
            let mut pace = |_| self.write_waiting();
            let merged = merge_files(disk, &shared.paths, &cold, files, &mut pace)?;
            shared.recording.observe_since(&INDEX_MERGE_SECONDS, &[], began);
            shared.recording.add(&INDEX_WRITTEN_BYTES, &[], merged.entry.len);
            let is_merged = |file: &Arc<IndexFile>| {
                merged.entry.from <= file.entry.from && file.entry.upto <= merged.entry.upto
            };
            let files = self.cold.files();
            let place = files.iter().position(is_merged).unwrap_or_default();
            let mut files: Vec<_> = files.iter().filter(|file| !is_merged(file)).cloned().collect();
            files.insert(place, merged);
            self.switch(files, self.newest.clone())?;
        }
    }

    /// Writes a layer, if one waits while files are being merged: not all, so that the merge comes to its end however fast they
    /// come. Fails if the store is being closed.
    fn write_waiting(&mut self) -> Result<()> {
        let freezer = &self.shared.freezer;
        if freezer.has_ended() {
            let dir = self.shared.paths.index();
            return Err(Error::io("merge files in", dir, ErrorKind::Interrupted.into()));
        }
        if let Some(layer) = freezer.waiting_layer() {
            self.write_next(&layer);
        }
        Ok(())
    }

    /// Makes these files, the newest one first, the cold index. `newest` is what the first one has taken in.
    fn switch(&mut self, files: Vec<Arc<IndexFile>>, newest: Newest) -> Result<()> {
        // What was found damaged must not be forgotten, nor merged into a sound file.
        self.cold.check()?;
        let covered = Covered::upto(&self.shared.published.view(), newest.last)?;
        let entries = files.iter().map(|file| file.entry).collect();
        let resident = newest.resident.clone();
        let checkpoint = Checkpoint { covered, files: entries, resident };
        // To write the files took a while.
        self.check_place()?;
        write_checkpoint(self.disk(), &self.shared.paths, &checkpoint)?;
        let cold = Arc::new(Cold::new(files));
        let mut index = self.shared.index.write();
        // Nor what was found in the meantime: the hot layer may come from it.
        self.cold.check()?;
        index.adopt(&cold);
        drop(index);
        (self.cold, self.newest) = (cold, newest);
        self.shared.recording.set(&INDEX_FILES, &[], wide(self.cold.files().len()));
        Ok(())
    }

    /// Removes the checkpoint if a file was found damaged, so that the next opening builds the index anew. If that fails,
    /// the next opening meets the damage again.
    pub(crate) fn discard_damaged(&self) {
        if self.cold.check().is_err() && self.check_place().is_ok() {
            let _ = remove_checkpoint(self.disk(), &self.shared.paths);
        }
    }

    /// Removes files that the checkpoint does not name, while none is being written. What cannot be removed is tried again at
    /// the next call.
    pub(crate) fn remove_others(&self) {
        if self.check_place().is_ok() {
            let named = self.cold.files().iter().map(|file| &file.entry);
            let _ = remove_others(self.disk(), &self.shared.paths, named);
        }
    }

    /// Fails if paths lead elsewhere by now than they did when the store was opened.
    fn check_place(&self) -> Result<()> {
        self.shared.location.check(self.disk())?;
        refuse_link(self.disk(), &self.shared.paths.index())
    }
}
