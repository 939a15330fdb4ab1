//! Group commit: the first committer that finds nobody writing becomes the leader and writes what
//! has gathered; meanwhile the others gather the next group. Nobody who waits waits for a timer.

use std::collections::VecDeque;
use std::sync::Arc;

use super::durability::{Durability, Manner, Span};
use super::parker::GroupHint;
use super::state::{Group, Round, State};
use crate::bytes::wide;
use crate::disk::{Disk, Opener, random_bytes};
use crate::error::{Error, Result};
use crate::event::Buffer;
use crate::id::Position;
use crate::limits::Limit;
use crate::log::files::{Lock, LockFile, ManifestFile, Published, Segment, StoreLocation};
use crate::log::format::{FrameKind, OVERHEAD_BYTES, Paths, frame};
use crate::recorder::{Recording, span};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What a writer holds of its store.
pub(crate) struct Held {
    pub(crate) place: Arc<StoreLocation>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) manifest: ManifestFile,
    pub(crate) lock: Lock,
    pub(crate) record: LockFile,
    pub(crate) recording: Recording,
}

/// The writing half of an open store's log.
pub(crate) struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) recording: Recording,
    pub(crate) paths: Paths,
    pub(crate) published: Arc<Published>,
    pub(crate) epoch: u32,
    pub(crate) state: Mutex<State>,
    /// On the device up to here. Rises under the state's lock, and is read without it.
    pub(crate) durable: AtomicU64,
    /// How many commits have gathered for the next round.
    pub(crate) gathered: AtomicU32,
    /// A group was written, a segment prepared or synced, or something failed.
    pub(crate) progress: Condvar,
    /// More is on the device, or something failed. Most rounds are neither, and wake nobody who waits for that.
    pub(crate) synced: Condvar,
    pub(crate) manifest: Mutex<ManifestFile>,
    pub(crate) place: Arc<StoreLocation>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) lock: Mutex<Option<(Lock, LockFile)>>,
    /// Wakes the store's own thread.
    pub(crate) work: Condvar,
    /// Wakes the thread for segments.
    pub(crate) segment_work: Condvar,
}

impl Writer {
    /// The writer of a log that ends, published and durable, at `published.end()`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        paths: Paths,
        published: Arc<Published>,
        held: Held,
    ) -> Result<Self> {
        let Held { place, opener, manifest, lock, mut record, recording } = held;
        let end = published.end();
        let view = published.view();
        let (number, _) = published.identity.locate(end);
        let segment = |number: u32| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            view.segments().get(index).cloned()
        };
        let current = segment(number)
            .ok_or_else(|| view.corrupt(end, "the log ends outside its segments", 0, 0))?;
        let prepared = number.checked_add(1).and_then(segment);
        for segment in [Some(&current), prepared.as_ref()].into_iter().flatten() {
            segment.open_for_writing(disk.as_ref())?;
        }
        let state = State {
            next: end,
            segment: current,
            groups: vec![],
            leading: false,
            wanted: end,
            unsynced: vec![],
            sealed: VecDeque::new(),
            failure: None,
            failure_told: false,
            waiters: vec![],
            group_hint: GroupHint::default(),
            prepared,
            next_salt: random_bytes(disk.as_ref()),
            next_file_bytes: 0,
            preparing: false,
            prepare_failed: None,
            lacks_segment: false,
            segments_end: false,
            spare: None,
            background: Default::default(),
        };
        record.announce(&published.identity.store, manifest.current.epoch, end, end)?;
        Ok(Writer {
            disk,
            paths,
            published,
            epoch: manifest.current.epoch,
            state: Mutex::new(state),
            durable: AtomicU64::new(end.as_u64()),
            gathered: AtomicU32::new(0),
            progress: Condvar::new(),
            synced: Condvar::new(),
            manifest: Mutex::new(manifest),
            place,
            opener,
            lock: Mutex::new(Some((lock, record))),
            work: Condvar::new(),
            recording,
            segment_work: Condvar::new(),
        })
    }

    /// Appends a commit of `payload_bytes`. `fill` is called with the place of the payload; it
    /// either appends exactly that many bytes or refuses and has changed nothing. Where it meets
    /// [`Error::Internal`], nothing that is in memory can be relied on, and no more commits are taken.
    pub(crate) fn append<T>(
        self: &Arc<Self>,
        payload_bytes: usize,
        batches: u16,
        manner: Manner,
        fill: impl FnOnce(Position, &mut Buffer) -> Result<T>,
    ) -> Result<(T, Span)> {
        let most = self.published.identity.payload_bytes_max();
        if payload_bytes > most {
            let (asked, max) = (wide(payload_bytes), wide(most));
            let limit = Limit::CommitBytes;
            return Err(Error::LimitExceeded { limit, run: None, now: 0, asked, max });
        }
        let mut state = self.state.lock();
        self.make_room(&mut state, payload_bytes + OVERHEAD_BYTES, manner)?;
        let start = state.next;
        let group = self.group(&mut state);
        let frame_start = group.bytes.len();
        frame::open(&mut group.bytes);
        let payload_start = group.bytes.len();
        let filled = fill(start.plus(wide(frame::HEADER_BYTES)), &mut group.bytes);
        let filled = filled.and_then(|value| {
            let exact = group.bytes.len() - payload_start == payload_bytes;
            let what = "a commit has another size than announced";
            if exact { Ok(value) } else { Err(Error::internal(what)) }
        });
        let value = match filled {
            Ok(value) => value,
            Err(error) => {
                group.bytes.resize(frame_start, 0);
                if let Error::Internal { .. } = error {
                    state.fail(error.clone());
                    self.wake_waiters(&mut state);
                }
                return Err(error);
            }
        };
        frame::close(&mut group.bytes, frame_start, FrameKind::Commit, batches, self.epoch);
        let end = start.plus(wide(payload_bytes + OVERHEAD_BYTES));
        state.next = end;
        self.gathered.fetch_add(1, Ordering::Relaxed);
        if manner.durability == Durability::Sync {
            state.wanted = end;
        }
        self.prepare_ahead(&mut state);
        self.note_commit(&mut state, manner.durability, manner.lead);
        Ok((value, Span { start, end }))
    }

    /// The group that the next frame goes to.
    pub(crate) fn group<'s>(&self, state: &'s mut State) -> &'s mut Group {
        let fits = |group: &Group| group.segment.header.number == state.segment.header.number;
        if !state.groups.last().is_some_and(fits) {
            let bytes = state.spare.take().unwrap_or_default();
            let (segment, start) = (state.segment.clone(), state.next);
            state.groups.push(Group { segment, start, bytes });
        }
        let last = state.groups.len() - 1;
        // Just pushed, or found by `last`.
        #[allow(clippy::indexing_slicing)]
        &mut state.groups[last]
    }

    /// Returns when everything committed so far is on the device.
    pub(crate) fn sync(&self) -> Result<()> {
        // Should it fail, everything since the last sync is in doubt.
        let span = {
            let state = self.state.lock();
            Span { start: self.durable(), end: state.next }
        };
        self.wait(span, Durability::Sync)
    }

    /// Leads one round: takes what has gathered, writes it, syncs if anybody asked for it,
    /// publishes. The state is unlocked meanwhile.
    pub(crate) fn lead(&self, state: &mut MutexGuard<'_, State>) {
        state.leading = true;
        if state.failure.is_none() {
            self.await_group(state);
        }
        if state.failure.is_some() {
            // Not even a sync: the system may have dropped what the failed one did not write, and
            // a second one would then succeed.
            state.leading = false;
            self.note_round(state);
            return;
        }
        self.gathered.store(0, Ordering::Relaxed);
        let mut groups = std::mem::take(&mut state.groups);
        let mut unsynced = std::mem::take(&mut state.unsynced);
        let (durable, end) = (self.durable(), state.next);
        let sync = state.wanted > durable;
        // Only a leader adds to them.
        let awaits_sealed = sync && !state.sealed.is_empty();
        let bytes = groups.iter().map(|group| group.bytes.len()).sum();
        let round = MutexGuard::unlocked(state, || {
            let _span = span::round(bytes, sync);
            let began = self.recording.now();
            let told = Round { bytes, segments: groups.len(), sync, began };
            let mut written = self.write(&mut groups, &mut unsynced, durable, sync);
            if awaits_sealed {
                written = written.and_then(|()| self.await_sealed());
            }
            if written.is_ok() {
                self.published.publish(end);
            }
            let durable = if sync { end } else { durable };
            written.and_then(|()| self.record(durable))?;
            self.tell_round(&told, end);
            Ok(())
        });
        state.leading = false;
        match round {
            Ok(()) => self.conclude(state, &mut unsynced, end, sync),
            // Nothing more is written, so what gathered meanwhile never will be.
            Err(error) => state.fail_below(error, end),
        }
        state.unsynced = unsynced;
        if let Some(mut group) = groups.pop() {
            group.bytes.clear();
            state.spare = Some(group.bytes);
        }
        if state.groups.is_empty() {
            groups.clear();
            state.groups = groups;
        }
        self.note_round(state);
        self.wake_waiters(state);
    }

    /// What a round up to `end` brings: the log is on the device, or the thread for segments syncs those that are full.
    fn conclude(
        &self,
        state: &mut State,
        unsynced: &mut Vec<Arc<Segment>>,
        end: Position,
        sync: bool,
    ) {
        let (last, _) = self.published.identity.locate(end);
        let is_full = |segment: &Arc<Segment>| segment.header.number < last;
        let rolled = unsynced.iter().any(is_full);
        if rolled {
            self.prepare(state, 0);
        }
        if sync {
            self.durable.fetch_max(end.as_u64(), Ordering::Release);
            self.synced.notify_all();
            // Nothing is ever written to full ones again.
            unsynced.drain(..).filter(is_full).for_each(|segment| segment.file.end_writing());
        } else if rolled {
            state.sealed.extend(unsynced.extract_if(.., |segment| is_full(segment)));
            self.segment_work.notify_one();
        }
    }

    /// Wakes whoever waits for what a round, or the end of all rounds, has brought.
    pub(crate) fn wake_waiters(&self, state: &mut MutexGuard<'_, State>) {
        self.progress.notify_all();
        if state.failure.is_some() {
            self.synced.notify_all();
        }
        let woken = self.take_woken(state);
        let fails = state.failure.is_some() && !std::mem::replace(&mut state.failure_told, true);
        // Wakers and recorders are foreign code, which must not find the state locked.
        MutexGuard::unlocked(state, || {
            if fails {
                self.tell_failure();
            }
            woken.iter().for_each(|parker| parker.unpark());
            self.published.wake();
        });
    }

    fn write(
        &self,
        groups: &mut [Group],
        unsynced: &mut Vec<Arc<Segment>>,
        durable: Position,
        sync: bool,
    ) -> Result<()> {
        if groups.len() > 1 {
            // The log goes on in the next segment.
            self.check_place()?;
        }
        for group in groups {
            let segment = &group.segment;
            frame::write_checksums(&mut group.bytes, &segment.header.salt, group.start, durable);
            let (_, offset) = self.published.identity.locate(group.start);
            if !unsynced.iter().any(|other| other.header.number == segment.header.number) {
                unsynced.push(segment.clone());
            }
            segment
                .file
                .write_at(&group.bytes, offset)
                .map_err(|e| Error::io("write", &segment.path, e))?;
        }
        if sync {
            unsynced.iter().try_for_each(|segment| self.sync_segment(segment))?;
        }
        Ok(())
    }

    /// Writes into the lock record how far the log is published, and that it is on the device up to `durable`.
    pub(crate) fn record(&self, durable: Position) -> Result<()> {
        match &mut *self.lock.lock() {
            Some((_, record)) => {
                let store = &self.published.identity.store;
                record.publish(store, self.epoch, self.published.end(), durable)
            }
            None => Ok(()),
        }
    }

    /// How far the log is known to be on the device.
    pub(crate) fn durable(&self) -> Position {
        Position::from_u64(self.durable.load(Ordering::Acquire))
    }
}
