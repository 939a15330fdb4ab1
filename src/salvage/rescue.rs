//! One commit after another into the new store: whole if it can be, and else what of it can stand
//! on its own.
//!
//! What a commit builds on lies before it or in it. So one pass in the order of the source decides:
//! a batch that does not continue its run as it is in the new store cuts the run, a run that is
//! cut takes nothing more, and what the rules of the index refuse without it is cut as well, until
//! nothing more is refused.

use super::piece::{Origin, Piece, assemble, drop_orphans};
use super::runs::{BATCH_MISSING, Kept, SourceRun, SourceRuns};
use crate::bytes::wide;
use crate::error::Result;
use crate::event::{Body, Buffer, Malformed};
use crate::id::RunId;
use crate::index::Refusal;
use crate::log::format::{BATCH_HEADER_BYTES, Batch, Frame, OVERHEAD_BYTES, Part, Parts};
use crate::store::CommitImport;

const NO_SENSE: &str = "what it says makes no sense without what is lost";
const BASE_LOST: &str = "the run whose events it shares lost some of them";

/// Takes commits of the source into the new store.
pub(super) struct Rescue<'s> {
    pub(super) import: CommitImport<'s>,
    pub(super) runs: SourceRuns,
    pub(super) counts: Counts,
    /// The payload that is tried.
    payload: Buffer,
}

/// What became of the commits.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) whole: u64,
    pub(super) partial: u64,
    pub(super) dropped: u64,
    pub(super) events: u64,
    pub(super) rows: u64,
    pub(super) rows_dropped: u64,
    pub(super) bytes: u64,
}

/// A commit of the source, and what of it is to be kept.
struct Parsed<'a> {
    pieces: Vec<Piece<'a>>,
    rows: Vec<&'a [u8]>,
    /// Something was left out.
    partial: bool,
}

/// What is to blame for a refusal.
enum Blamed {
    Piece(usize),
    Rows,
    Nothing,
}

impl<'s> Rescue<'s> {
    pub(super) fn new(import: CommitImport<'s>) -> Self {
        let (runs, counts) = (SourceRuns::default(), Counts::default());
        Rescue { import, runs, counts, payload: Buffer::new() }
    }

    /// Takes in what can be kept of a commit. `Malformed` if it cannot be read: nothing of it is.
    pub(super) fn commit(&mut self, frame: &Frame<'_>) -> Result<Result<(), Malformed>> {
        let Ok(parts) = parse(frame) else { return Ok(Err(Malformed)) };
        let mut commit = Parsed { pieces: vec![], rows: vec![], partial: false };
        for (part, bytes) in parts {
            match part {
                Part::Batch(batch) => self.admit(&mut commit, batch, bytes)?,
                Part::Put(_) => commit.rows.push(bytes),
            }
        }
        self.keep(&mut commit)?;
        Ok(Ok(()))
    }

    /// Adds a batch to what is to be kept, if it goes on where its run is in the new store.
    fn admit<'a>(
        &mut self,
        commit: &mut Parsed<'a>,
        batch: Batch<'a>,
        bytes: &'a [u8],
    ) -> Result<()> {
        let events = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
        let known = self.runs.get(batch.run).map(SourceRun::open);
        let (id, origin) = match known {
            Some(open) => match open.filter(|(_, kept)| goes_on(kept, &batch, events)) {
                Some((id, _)) => (id, self.follows(&id)),
                None => (RunId::NIL, Err(BATCH_MISSING)),
            },
            None => self.begins(&batch, events)?,
        };
        match origin {
            Ok(origin) => commit.pieces.push(Piece { batch, events, id, origin }),
            Err(why) => {
                let name = match beginning(&batch) {
                    Some(origin) if known.is_none() => Some(origin.name()),
                    _ => None,
                };
                self.runs.cut(&batch, name, why);
                commit.partial = true;
            }
        }
        Ok(())
    }

    /// Where a run goes on in the new store.
    fn follows(&self, id: &RunId) -> Result<Origin<'static>, &'static str> {
        let index = self.import.index();
        let number = index.runs.number(id);
        let found = number.and_then(|number| Some((number, index.runs.get(number)?)));
        let (number, run) = found.ok_or(BATCH_MISSING)?;
        Ok(Origin::Follows { number, previous: run.state.latest().last_batch })
    }

    /// How a run begins that the source did not name before.
    fn begins<'a>(
        &mut self,
        batch: &Batch<'a>,
        events: &[u8],
    ) -> Result<(RunId, Result<Origin<'a>, &'static str>)> {
        let Some(origin) = beginning(batch) else {
            return Ok((RunId::NIL, Err(BATCH_MISSING)));
        };
        let id = origin.id();
        let Origin::Resets { reset, .. } = origin else {
            let adds_up = wide(events.len()) == u64::from(batch.run_bytes);
            return Ok((id, if adds_up { Ok(origin) } else { Err(NO_SENSE) }));
        };
        let shared = batch.first_event - 1;
        let base = {
            let index = self.import.index();
            let base = index.runs.number(&reset.base_run_id);
            base.and_then(|base| index.runs.get(base)).map(|run| run.state.latest().next_event)
        };
        if base.is_none_or(|next| next <= shared) {
            return Ok((id, Err(BASE_LOST)));
        }
        let (previous, before) = self.import.place_of(&reset.base_run_id, shared)?;
        let adds_up = before + wide(events.len()) == u64::from(batch.run_bytes);
        let origin = Origin::Resets { reset, previous };
        Ok((id, if adds_up { Ok(origin) } else { Err(BASE_LOST) }))
    }

    /// Appends what the rules accept, and cuts the runs of the rest.
    fn keep(&mut self, commit: &mut Parsed<'_>) -> Result<()> {
        // In the order of their numbers in the new store; those that begin come last.
        commit.pieces.sort_by_key(|piece| piece.origin.number().unwrap_or(u32::MAX));
        loop {
            for (piece, why) in drop_orphans(&mut commit.pieces) {
                self.leave(commit, &piece, why);
            }
            if commit.pieces.is_empty() && commit.rows.is_empty() {
                self.counts.dropped += 1;
                return Ok(());
            }
            let batches = self.assemble(&commit.pieces, &commit.rows);
            let Err(refusal) = self.import.append(&self.payload, batches)? else {
                self.note(commit);
                return Ok(());
            };
            match self.blame(commit, refusal) {
                Blamed::Piece(at) => {
                    let piece = commit.pieces.remove(at);
                    let why = match refusal {
                        Refusal::Illegal(illegal) => illegal.why,
                        Refusal::Malformed => NO_SENSE,
                    };
                    self.leave(commit, &piece, why);
                }
                Blamed::Rows => self.drop_rows(commit),
                Blamed::Nothing => {
                    for piece in std::mem::take(&mut commit.pieces) {
                        self.leave(commit, &piece, NO_SENSE);
                    }
                    self.drop_rows(commit);
                }
            }
        }
    }

    fn leave(&mut self, commit: &mut Parsed<'_>, piece: &Piece<'_>, why: &'static str) {
        let begins = piece.origin.number().is_none();
        self.runs.cut(&piece.batch, begins.then(|| piece.origin.name()), why);
        commit.partial = true;
    }

    /// Which part of the commit the refusal is about.
    fn blame(&mut self, commit: &Parsed<'_>, refusal: Refusal) -> Blamed {
        let pieces = &commit.pieces;
        if let Refusal::Illegal(illegal) = refusal {
            let at = pieces.iter().position(|piece| piece.id == illegal.run);
            return at.map_or(Blamed::Nothing, Blamed::Piece);
        }
        // The check goes from batch to batch: the first that makes no sense makes no sense of all
        // that begin with it.
        let (mut sound, mut unsound) = (0, pieces.len() + 1);
        while sound + 1 < unsound {
            let middle = sound.midpoint(unsound);
            let batches = self.assemble(pieces.get(..middle).unwrap_or_default(), &[]);
            match self.import.check(&self.payload, batches) {
                Err(Refusal::Malformed) => unsound = middle,
                _ => sound = middle,
            }
        }
        if sound < pieces.len() { Blamed::Piece(sound) } else { Blamed::Rows }
    }

    /// Drops the rows that make no sense on their own; all of them if each does.
    fn drop_rows(&mut self, commit: &mut Parsed<'_>) {
        let before = commit.rows.len();
        commit.rows.retain(|row| self.import.check(row, 0).is_ok());
        if commit.rows.len() == before {
            commit.rows.clear();
        }
        self.counts.rows_dropped += wide(before - commit.rows.len());
        commit.partial = true;
    }

    /// Makes the payload of a commit; returns how many batches it has.
    fn assemble(&mut self, pieces: &[Piece<'_>], rows: &[&[u8]]) -> u16 {
        let next_new = self.import.index().runs.len();
        assemble(&mut self.payload, pieces, rows, next_new);
        // No more than the source's commit had.
        u16::try_from(pieces.len()).unwrap_or(u16::MAX)
    }

    /// A commit is in the new store.
    fn note(&mut self, commit: &Parsed<'_>) {
        for piece in &commit.pieces {
            self.runs.keep(&piece.batch, piece.id);
            self.counts.events += u64::from(piece.batch.count);
        }
        self.counts.rows += wide(commit.rows.len());
        self.counts.bytes += wide(self.payload.len() + OVERHEAD_BYTES);
        let count = if commit.partial { &mut self.counts.partial } else { &mut self.counts.whole };
        *count += 1;
    }
}

/// The parts of a commit, each with its bytes. No run comes twice.
fn parse<'a>(frame: &Frame<'a>) -> Result<Vec<(Part<'a>, &'a [u8])>, Malformed> {
    let (mut parts, mut at, mut last) = (vec![], 0, None);
    for part in Parts::of(frame) {
        let (part, size) = part?;
        if let Part::Batch(batch) = &part
            && last.replace(batch.run).is_some_and(|last| last >= batch.run)
        {
            return Err(Malformed);
        }
        parts.push((part, frame.payload.get(at..at + size).ok_or(Malformed)?));
        at += size;
    }
    Ok(parts)
}

/// Whether a batch is the next one of a run: first event, link and sum say so.
fn goes_on(kept: &Kept, batch: &Batch<'_>, events: &[u8]) -> bool {
    batch.first_event == kept.next_event
        && batch.previous == kept.last_batch
        && u64::from(kept.bytes) + wide(events.len()) == u64::from(batch.run_bytes)
}

/// What a batch begins with, if a run can begin with it.
fn beginning<'a>(batch: &Batch<'a>) -> Option<Origin<'a>> {
    let first = batch.events().next()?.ok()?;
    match first.body() {
        Body::WorkflowExecutionStarted(started) if batch.first_event == 1 => {
            Some(Origin::Starts(*started))
        }
        Body::WorkflowReset(reset) if batch.first_event > 1 => {
            Some(Origin::Resets { reset: *reset, previous: batch.previous })
        }
        _ => None,
    }
}
