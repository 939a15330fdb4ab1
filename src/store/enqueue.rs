//! The last check of a transaction and its way into the log, under one lock.

use super::start::Current;
use super::touched::{Begins, Touched, too_many_runs};
use super::transaction::Transaction;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::{Buffer, Started};
use crate::id::Position;
use crate::index::{Index, Payload};
use crate::log::batch::{BATCH_HEADER_BYTES, write_batch_header};
use crate::log::frame::{HEADER_BYTES, TRAILER_BYTES};
use crate::log::{Durability, Span};

impl Transaction<'_> {
    /// Checks the transaction against the state of now and appends it to the log; `None` if it
    /// holds nothing.
    pub(super) fn enqueue(mut self, durability: Durability) -> Result<Option<Span>> {
        let writer = self.shared.writer()?;
        self.runs.retain(|touched| touched.count > 0);
        if self.runs.is_empty() && self.rows.is_empty() {
            return Ok(None);
        }
        let batches = u16::try_from(self.runs.len()).map_err(|_| too_many_runs(self.runs.len()))?;
        let events = self.events.len() + self.runs.len() * BATCH_HEADER_BYTES;
        let bytes = events + self.rows.len();
        let appended = writer.append(bytes, batches, durability, |position, buffer| {
            let mut index = self.shared.index.write();
            let order = self.check(&index)?;
            let start = buffer.len();
            self.assemble(&index, &order, position, buffer);
            let payload = Payload {
                bytes: buffer.get(start..).unwrap_or_default(),
                position,
                batches,
                commit: commit_of(position),
                end: end_of(position, bytes),
            };
            // Cannot fail after `check`; if it did, refusing keeps log and index in step.
            index.check(payload).map_err(|_| Error::invalid("a commit contradicts itself"))?;
            index.apply(payload, self.shared.pins.oldest(|| self.shared.published.end()));
            Ok(())
        });
        appended.map(|((), span)| Some(span))
    }

    /// Checks every run against the index as it is now, and returns them in the order of their
    /// numbers, which is the order in the frame.
    fn check(&self, index: &Index) -> Result<Vec<(u32, usize)>> {
        let mut order = Vec::with_capacity(self.runs.len());
        let mut next_new = index.runs.len();
        for (i, touched) in self.runs.iter().enumerate() {
            if let Some(begins) = &touched.begins {
                self.check_beginning(index, touched, begins)?;
                order.push((next_new, i));
                next_new = next_new.checked_add(1).ok_or_else(|| too_many_runs(usize::MAX))?;
                continue;
            }
            let run = touched.id;
            let number = index.runs.number(&run).ok_or(Error::RunNotFound { run })?;
            let extent = index.runs.get(number).ok_or(Error::RunNotFound { run })?.extent.latest();
            if !touched.any && extent.next_event != touched.first_event {
                let (expected, found) = (touched.first_event, extent.next_event);
                return Err(Error::Conflict { run, expected, found });
            }
            if !extent.status.is_open() {
                return Err(Error::RunClosed { run });
            }
            touched.check_growth(extent)?;
            order.push((number, i));
        }
        order.sort_unstable();
        Ok(order)
    }

    fn check_beginning(&self, index: &Index, touched: &Touched, begins: &Begins) -> Result<()> {
        if index.runs.number(&touched.id).is_some() {
            return Err(Error::RunExists { run: touched.id });
        }
        if touched.recorded {
            return Ok(());
        }
        let started = Started {
            namespace: &begins.namespace,
            workflow_id: &begins.workflow_id,
            ..Default::default()
        };
        match Current::of(index, &started) {
            Some(current) if begins.seen != Some(current.run) => Err(current.in_the_way(&started)),
            _ => Ok(()),
        }
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
            let Some(touched) = self.runs.get(*i) else { continue };
            let extent = index.runs.get(*number).map(|run| *run.extent.latest());
            let (first_event, previous, before) = extent
                .map_or((1, Position::START, 0), |extent| {
                    (extent.next_event, extent.last_batch, u64::from(extent.bytes))
                });
            // `append` and `check` keep both within their fields.
            let count = u16::try_from(touched.count).unwrap_or(u16::MAX);
            let run_bytes = u32::try_from(before + touched.bytes).unwrap_or(u32::MAX);
            write_batch_header(buffer, *number, first_event, count, previous, run_bytes);
            let mut chunk = touched.chunks.map(|(first, _)| first);
            while let Some(link) = chunk.and_then(|chunk| self.chunks.get(chunk)) {
                buffer.extend_from_slice(self.events.get(link.start..link.end).unwrap_or_default());
                chunk = link.next;
            }
        }
        buffer.extend_from_slice(&self.rows);
        debug_assert_eq!(end_of(position, buffer.len() - start).as_u64() % 4, 0);
    }
}

fn commit_of(payload: Position) -> Position {
    Position::from_u64(payload.as_u64() - wide(HEADER_BYTES))
}

fn end_of(payload: Position, bytes: usize) -> Position {
    payload.plus(wide(bytes + TRAILER_BYTES))
}
