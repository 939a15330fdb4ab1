//! The last check of a transaction and its way into the log, under one lock.

use super::commit::Notice;
use super::start::Current;
use super::touched::{Begins, Place, Touched, too_many_runs};
use super::transaction::Transaction;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::Buffer;
use crate::id::Position;
use crate::index::{Index, Payload, Refusal};
use crate::log::batch::{BATCH_HEADER_BYTES, write_batch_header};
use crate::log::frame::{HEADER_BYTES, TRAILER_BYTES};
use crate::log::{Durability, Lead, Reserve, Span};

impl Transaction<'_> {
    /// Checks the transaction against the state of now and appends it to the log; `None` if it
    /// holds nothing.
    pub(super) fn enqueue(
        mut self,
        durability: Durability,
        lead: Lead,
    ) -> Result<Option<(Span, Vec<Notice>)>> {
        let writer = self.shared.writer()?;
        let expected = self.work.runs.extract_if(.., |touched| touched.progress.count == 0);
        let expected: Vec<_> =
            expected.filter(|touched| touched.place == Place::Expected).collect();
        if self.work.runs.is_empty() && self.work.rows.is_empty() {
            check_expected(&self.shared.index.read(), &expected)?;
            return Ok(None);
        }
        let batches =
            u16::try_from(self.work.runs.len()).map_err(|_| too_many_runs(self.work.runs.len()))?;
        let mut order = std::mem::take(&mut self.work.order);
        let events = self.work.events.len() + self.work.runs.len() * BATCH_HEADER_BYTES;
        let bytes = events + self.work.rows.len();
        let appended = writer.append(
            bytes,
            batches,
            (durability, lead),
            self.reserve(),
            |position, buffer| {
                let mut index = self.shared.index.write();
                check_expected(&index, &expected)?;
                self.check(&index, &mut order)?;
                let start = buffer.len();
                self.assemble(&index, &order, position, buffer);
                let payload = Payload {
                    bytes: buffer.get(start..).unwrap_or_default(),
                    position,
                    batches,
                    commit: commit_of(position),
                    end: end_of(position, bytes),
                };
                index.check(payload).map_err(|refusal| match refusal {
                    Refusal::Illegal(illegal) => illegal.into(),
                    Refusal::Malformed => Error::invalid("a commit contradicts itself"),
                })?;
                index.apply(payload, self.shared.pins.oldest(|| self.shared.published.end()));
                let extents = order.iter().filter_map(|(number, i)| {
                    Some((self.work.runs.get(*i)?, index.runs.get(*number)?.extent.latest()))
                });
                Ok(extents.filter_map(|(touched, extent)| Notice::of(touched, extent)).collect())
            },
        );
        self.work.order = order;
        appended.map(|(notices, span)| Some((span, notices)))
    }

    /// Closing runs and asking them to cancel frees space in the end, so it may use what is kept.
    fn reserve(&self) -> Reserve {
        let closes = |touched: &Touched| touched.begins.is_none() && touched.is_exempt();
        let all = !self.work.runs.is_empty() && self.work.runs.iter().all(closes);
        if all { Reserve::Use } else { Reserve::Keep }
    }

    /// Checks every run against the index as it is now, and puts them in the order of their
    /// numbers, which is the order in the frame.
    fn check(&self, index: &Index, order: &mut Vec<(u32, usize)>) -> Result<()> {
        let mut next_new = index.runs.len();
        for (i, touched) in self.work.runs.iter().enumerate() {
            if let Some(begins) = &touched.begins {
                self.check_beginning(index, touched, begins)?;
                order.push((next_new, i));
                next_new = next_new.checked_add(1).ok_or_else(|| too_many_runs(usize::MAX))?;
                continue;
            }
            let run = touched.id;
            let (number, extent) = touched.known(index)?;
            let held = matches!(touched.place, Place::Found | Place::Expected);
            if held && extent.next_event != touched.first_event {
                let (expected, found) = (touched.first_event, extent.next_event);
                return Err(Error::Conflict { run, expected, found });
            }
            if !extent.status.is_open() {
                return Err(Error::RunClosed { run });
            }
            touched.check_growth(extent)?;
            self.check_waiting(index, touched)?;
            order.push((number, i));
        }
        order.sort_unstable();
        Ok(())
    }

    fn check_beginning(&self, index: &Index, touched: &Touched, begins: &Begins) -> Result<()> {
        if index.runs.number(&touched.id).is_some() {
            return Err(Error::RunExists { run: touched.id });
        }
        if touched.recorded {
            return Ok(());
        }
        let (namespace, workflow_id) = (&begins.kin.namespace, &begins.kin.workflow_id);
        match Current::of(index, namespace, workflow_id) {
            Some(current) if begins.seen != Some(current.run) => {
                Err(current.in_the_way(namespace, workflow_id))
            }
            _ => Ok(()),
        }
    }

    /// Checks once more how much a run waits for.
    fn check_waiting(&self, index: &Index, touched: &Touched) -> Result<()> {
        if touched.recorded || !touched.progress.status.is_open() {
            return Ok(());
        }
        // A limit that was lowered stands against what is added, not against what is there.
        let added = self.work.draft.added(touched.id);
        let mut kinds = [10, 22, 29, 37].into_iter().filter(|kind| added.of(*kind) > 0);
        kinds.try_for_each(|kind| self.check_open(index, touched, kind, 0))
    }

    /// Writes the payload of the commit at `position`, run after run.
    fn assemble(
        &self,
        index: &Index,
        order: &[(u32, usize)],
        position: Position,
        buffer: &mut Buffer,
    ) {
        let start = buffer.len();
        for (number, i) in order {
            let Some(touched) = self.work.runs.get(*i) else { continue };
            let extent = index.runs.get(*number).map(|run| *run.extent.latest());
            let previous = touched.begins.as_ref().and_then(|begins| begins.previous);
            let begins = || {
                let previous = previous.unwrap_or(Position::START);
                (touched.first_event, previous, touched.bytes_before)
            };
            let (first_event, previous, before) = extent.map_or_else(begins, |extent| {
                (extent.next_event, extent.last_batch, u64::from(extent.bytes))
            });
            // `append` and `check` keep both within their fields.
            let count = u16::try_from(touched.progress.count).unwrap_or(u16::MAX);
            let run_bytes = u32::try_from(before + touched.progress.bytes).unwrap_or(u32::MAX);
            write_batch_header(buffer, *number, first_event, count, previous, run_bytes);
            let mut chunk = touched.progress.chunks.map(|(first, _)| first);
            while let Some(link) = chunk.and_then(|chunk| self.work.chunks.get(chunk)) {
                buffer.extend_from_slice(
                    self.work.events.get(link.start..link.end).unwrap_or_default(),
                );
                chunk = link.next;
            }
        }
        buffer.extend_from_slice(&self.work.rows);
        debug_assert_eq!(end_of(position, buffer.len() - start).as_u64() % 4, 0);
    }
}

/// Checks where runs are that get no events, where the caller said it matters.
fn check_expected(index: &Index, runs: &[Touched]) -> Result<()> {
    runs.iter().try_for_each(|touched| {
        let (run, expected) = (touched.id, touched.first_event);
        let found = touched.known(index)?.1.next_event;
        if found == expected { Ok(()) } else { Err(Error::Conflict { run, expected, found }) }
    })
}

pub(super) fn commit_of(payload: Position) -> Position {
    Position::from_u64(payload.as_u64() - wide(HEADER_BYTES))
}

pub(super) fn end_of(payload: Position, bytes: usize) -> Position {
    payload.plus(wide(bytes + TRAILER_BYTES))
}
