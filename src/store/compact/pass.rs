//! One pass over the full segments, from the first one on.

use std::sync::Arc;

use super::extent::Extent;
use super::liveness::Liveness;
use super::parts::parts_of;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::log::compact::{Remains, replace};
use crate::log::files::{Segment, refuse_link, reserve};
use crate::log::format::SegmentHeader;
use crate::recorder::{COMPACTED_SEGMENTS, COMPACTION_FREED_BYTES, COMPACTION_WRITTEN_BYTES};
use crate::retention::{Compacted, Compaction, SegmentSpace};
use crate::store::read::Snapshot;
use crate::store::shared::{Shared, Store};

impl Store {
    /// Gives back the space of what is dead: of histories that were deleted, and of rows that were overwritten or deleted.
    /// Full segments of which enough is dead are written anew, one after the other, and take their own place by a rename, so
    /// that a crash leaves one or the other. Commits go on beside it. What was deleted or overwritten since it was called is
    /// left for the next call.
    ///
    /// Positions keep their meaning. Readers that hold what was before go on reading it, and keep its space until then. What
    /// is in a segment that was rewritten cannot be read commit by commit any more: [`Error::Compacted`] says where a
    /// [`Tail`](crate::Tail) can go on, and a store that was opened for reading only and has not come as far must be opened
    /// anew.
    ///
    /// What tells that a deleted run was there stays, until it is [erased](Store::erase).
    ///
    /// It needs room for what is live in one segment, and reads every full one. For the engine to call now and then, as
    /// [`Store::expire`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::retention::Compaction;
    ///
    /// for turn in 0..5_000u32 {
    ///     store.transact(|tx| tx.put("progress", b"worker-1", &turn.to_le_bytes()))?;
    /// }
    /// let done = store.compact(&Compaction::new())?;
    /// assert!(done.freed_bytes > 0);
    /// assert_eq!(store.get("progress", b"worker-1")?.unwrap(), 4_999u32.to_le_bytes());
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; the error of a sync, after which the store takes no more commits; [`Error::Corrupt`] for damage
    /// that was found, [`Error::Io`], [`Error::Displaced`], [`Error::DamagedIndex`]: segments before the one that failed were
    /// rewritten, and nothing is lost. On a full disk, segments for which there was no room are left, and the last such
    /// error is returned after all others were tried.
    pub fn compact(&self, compaction: &Compaction) -> Result<Compacted> {
        self.compact_with(compaction, &mut |_| ())
    }

    /// [`Store::compact`], which tells `progress` of each segment once it is done with it. That must not compact, erase or
    /// verify the same store: it would wait for itself.
    ///
    /// # Errors
    /// As [`Store::compact`].
    pub fn compact_with(
        &self,
        compaction: &Compaction,
        progress: &mut dyn FnMut(&SegmentSpace),
    ) -> Result<Compacted> {
        self.compact_while(compaction, &mut |segment| {
            progress(segment);
            true
        })
    }

    /// [`Store::compact`], which goes on to the next segment only if it is told to after each.
    pub(crate) fn compact_while(
        &self,
        compaction: &Compaction,
        goes_on: &mut dyn FnMut(&SegmentSpace) -> bool,
    ) -> Result<Compacted> {
        let shared = &self.shared;
        shared.writer()?;
        // One at a time: two would write one file.
        let _alone = shared.compacting.lock();
        let deciding = shared.new_consumers.deciding();
        let snapshot = self.snapshot();
        let extent =
            Extent::of(shared, compaction, &snapshot, deciding.slowest_from(snapshot.end()))?;
        let _decided = deciding.decide(extent.end(shared));
        // What the snapshot knows to be dead must stay so, and consumers must be where it sees them.
        self.sync()?;
        Pass::new(shared, compaction, &snapshot, extent, true).run(goes_on)
    }
}

pub(super) struct Pass<'s> {
    shared: &'s Shared,
    compaction: &'s Compaction,
    liveness: Liveness<'s>,
    extent: Extent,
    /// Whether segments are rewritten, or only looked at.
    rewrites: bool,
    pub(super) done: Compacted,
    /// A segment was left because the disk is full.
    no_room: Option<Error>,
}

impl<'s> Pass<'s> {
    pub(super) fn new(
        shared: &'s Shared,
        compaction: &'s Compaction,
        snapshot: &'s Snapshot,
        extent: Extent,
        rewrites: bool,
    ) -> Self {
        Pass {
            shared,
            compaction,
            liveness: Liveness::new(snapshot),
            done: Compacted { held_back: extent.held_back.clone(), ..Compacted::default() },
            extent,
            rewrites,
            no_room: None,
        }
    }

    fn run(mut self, goes_on: &mut dyn FnMut(&SegmentSpace) -> bool) -> Result<Compacted> {
        for number in 0..self.extent.limit {
            let space = self.segment(number)?;
            if !goes_on(&space) {
                break;
            }
        }
        self.no_room.map_or(Ok(self.done), Err)
    }

    /// Looks at a segment, and rewrites it if it pays.
    pub(super) fn segment(&mut self, number: u32) -> Result<SegmentSpace> {
        let snapshot = self.liveness.snapshot;
        let at = usize::try_from(number).ok();
        let segment = at.and_then(|at| snapshot.view().segments().get(at));
        let segment = segment.ok_or_else(|| Error::internal("a full segment is not there"))?;
        self.liveness.has_erased = false;
        let mut remains = Remains::of(segment, snapshot.end(), &mut self.liveness)?;
        let is_packed = segment.header.compacted.is_some_and(|it| it.packed.is_some());
        if is_packed {
            remains.pack(&mut |run| self.liveness.packs(run))?;
        }
        let mut space = parts_of(segment, &remains, snapshot.end(), &self.extent);
        if self.compaction.packs && !is_packed {
            remains.pack(&mut |run| self.liveness.packs(run))?;
        }
        space.left_bytes = remains.file_bytes();
        let mut freed = space.file_bytes.saturating_sub(space.left_bytes);
        let enough = freed * 100 >= space.file_bytes * u64::from(self.compaction.dead_percent);
        let pays = freed > 0 && enough && (remains.drops() || remains.packs_more());
        let worth = pays || (self.compaction.drops_all && remains.drops());
        let leaves_rows = remains.drops_rows();
        space.rewritten = worth && number < self.extent.limit;
        if space.rewritten && self.rewrites {
            match self.replace(segment, remains) {
                Err(error) if reserve::says_full(&error) => {
                    space.rewritten = false;
                    self.no_room = Some(error);
                }
                replaced => {
                    space.left_bytes = wide(replaced?.stored_len());
                    freed = space.file_bytes.saturating_sub(space.left_bytes);
                }
            }
        }
        self.liveness.before_are_clean &= space.rewritten || !leaves_rows;
        self.liveness.before_lack_erased &= space.rewritten || !self.liveness.has_erased;
        if space.rewritten {
            let recording = &self.shared.recording;
            recording.add(&COMPACTED_SEGMENTS, &[], 1);
            recording.add(&COMPACTION_WRITTEN_BYTES, &[], space.left_bytes);
            recording.add(&COMPACTION_FREED_BYTES, &[], freed);
            self.done.rewritten += 1;
            self.done.freed_bytes += freed;
            self.done.written_bytes += space.left_bytes;
        }
        self.done.segments.push(space);
        Ok(space)
    }

    /// Puts what remains of a segment in its place, and returns the header of that. On a full disk the space of the reserve
    /// file is used.
    fn replace(&self, segment: &Segment, remains: Remains<'_>) -> Result<SegmentHeader> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        let as_of = self.liveness.snapshot.end();
        let check = || {
            self.shared.location.check(disk)?;
            refuse_link(disk, &paths.log())
        };
        let replaced = replace(disk, paths, &remains, as_of, &check);
        let replaced = match replaced {
            Err(error) if check().is_ok() && reserve::release(disk, paths, &error) => {
                let again = replace(disk, paths, &remains, as_of, &check);
                // What was freed is enough for it; if not, the next segment makes it.
                let _ = reserve::keep(disk, paths, segment.header.file_bytes);
                again
            }
            replaced => replaced,
        };
        let segment = Arc::new(replaced?);
        let header = segment.header;
        self.shared.published.replace_segment(segment);
        Ok(header)
    }
}
