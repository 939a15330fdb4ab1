//! Collects a run's batches along the chain of links to earlier batches, in several legs at once: the memory of all
//! legs is fetched in parallel (prefetch). Each batch is looked up and parsed here, and nowhere again.

use crate::error::Result;
use crate::id::Position;
use crate::index::Waypoint;
use crate::log::files::{Behind, View};
use crate::log::format::{Batch, prefetch_first_event};

/// A walk in legs. Each goes from a batch back to where the next leg begins, the last one to the end of the walk.
/// Only the last one may be longer than a stride.
pub(crate) struct BackwardWalk<'v> {
    /// All but the last one, that from the end of the run first.
    legs: Vec<Leg<'v>>,
    last: Leg<'v>,
    stride: usize,
}

/// Where one leg is.
struct Leg<'v> {
    /// Its next batch.
    at: Position,
    /// Where it ends.
    end: Position,
    /// What was found at `at`; what was at the batch before, once that is parsed.
    bytes: Option<&'v [u8]>,
    /// What lies behind it.
    behind: Behind<'v>,
}

/// The batches that a walk has passed.
#[derive(Default)]
pub(crate) struct Walked<'v> {
    /// The last batch of the run first. Entries that stayed empty are between those of two legs.
    batches: Vec<Option<Batch<'v>>>,
}

impl<'v> BackwardWalk<'v> {
    /// A walk back from the batch `last` past `waypoints`, which are in order, at most `stride` batches apart
    /// and before `last`.
    pub(crate) fn new(last: Position, waypoints: &[Waypoint], stride: u32) -> Self {
        let mut at = last;
        let legs = waypoints.iter().rev().map(|point| Leg {
            at: std::mem::replace(&mut at, point.batch),
            end: point.batch,
            bytes: None,
            behind: None,
        });
        let legs = legs.collect();
        let last = Leg { at, end: Position::START, bytes: None, behind: None };
        BackwardWalk { legs, last, stride: usize::try_from(stride).unwrap_or(usize::MAX) }
    }

    /// The batches back to the one that holds the event `from`.
    pub(crate) fn walk(mut self, view: &'v View, from: u32) -> Result<Walked<'v>> {
        // Each leg but the last has a row of this.
        let rows = self.legs.len() * self.stride;
        let mut batches = Vec::with_capacity(rows + self.stride);
        batches.resize(rows, None);
        let mut unfinished = true;
        for step in 0.. {
            if !unfinished {
                break;
            }
            unfinished = false;
            // The memory of all legs, before any of it is waited for (prefetch).
            self.legs.iter_mut().for_each(|leg| leg.fetch(view));
            self.last.fetch(view);
            for (row, leg) in self.legs.iter_mut().enumerate().filter(|(_, leg)| !leg.is_over()) {
                let entry = batches.get_mut(row * self.stride + step);
                let Some(entry) = entry.filter(|_| step < self.stride) else {
                    let what = "a batch's link misses the run's batches";
                    return Err(view.corrupt(leg.at, what, 0, 0));
                };
                *entry = leg.step();
                if entry.is_none() {
                    return Err(view.no_batch(leg.at));
                }
                unfinished = true;
            }
            if !self.last.is_over() {
                let Some(batch) = self.last.step() else {
                    return Err(view.no_batch(self.last.at));
                };
                if batch.first_event <= from {
                    self.last.at = self.last.end;
                }
                batches.push(Some(batch));
                unfinished = true;
            }
        }
        Ok(Walked { batches })
    }
}

impl<'v> Leg<'v> {
    fn is_over(&self) -> bool {
        self.at == self.end
    }

    /// Begins to fetch what will be read: the event of its last batch, and its next batch.
    fn fetch(&mut self, view: &'v View) {
        if let Some(bytes) = self.bytes.take() {
            prefetch_first_event(bytes);
        }
        if !self.is_over() {
            self.bytes = view.prefetch(self.at, &mut self.behind);
        }
    }

    /// Its next batch, which was fetched; `None` if there is none where it should be.
    fn step(&mut self) -> Option<Batch<'v>> {
        let batch = Batch::parse(self.bytes?, self.at).ok()?;
        // `Batch::parse` has checked that the link leads to a lower position.
        self.at = batch.previous;
        Some(batch)
    }
}

impl<'v> Walked<'v> {
    /// The first of the batches that are left.
    pub(crate) fn next(&mut self) -> Option<Batch<'v>> {
        loop {
            if let Some(batch) = self.batches.pop()? {
                return Some(batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{EventKind, NewEvent};
    use crate::retention::Compaction;
    use crate::{NewRun, Options};

    /// Each batch of a run but the last one lies behind the one that links to it, and nothing else is taken for it.
    #[test]
    fn a_run_in_a_compacted_segment_is_read_without_its_table() {
        let dir = tempfile::tempdir().unwrap();
        let store = Options::new().segment_bytes(64 << 10).open(dir.path()).unwrap();
        let start = |id: &str| store.transact(|tx| tx.start(NewRun::new("n", id, "T"))).unwrap().0;
        let runs = ["a", "b"].map(start);
        for _ in 0..20 {
            for run in &runs {
                let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 100]);
                store.transact(|tx| tx.append(run, event)).unwrap();
            }
        }
        while store.end().as_u64() < 64 << 10 {
            store.transact(|tx| tx.put("filling", b"", &[7; 20_000])).unwrap();
        }
        assert_eq!(store.compact(&Compaction::new()).unwrap().rewritten, 1);
        let snapshot = store.snapshot();
        let view = snapshot.view();
        let index = snapshot.index();
        for run in &runs {
            let number = index.runs.number(run).unwrap();
            let known = index.runs.get(number).unwrap();
            let mut at = index.runs.state_at(&known, snapshot.end()).unwrap().last_batch;
            let (mut behind, mut found) = (None, 0);
            loop {
                let hint = behind;
                let bytes = view.prefetch(at, &mut behind).unwrap();
                let batch = crate::log::format::Batch::parse(bytes, at).unwrap();
                assert_eq!(batch.run, number);
                if let Some((segment, place)) = hint {
                    let (_, offset) = view.identity.locate(at);
                    assert_eq!(
                        segment.commit_at(place, offset).unwrap().0.as_ptr(),
                        bytes.as_ptr()
                    );
                    assert!(segment.commit_at(place, offset + 4).is_none());
                    assert!(segment.commit_at(place + 4, offset).is_none());
                    found += 1;
                }
                if batch.first_event == 1 {
                    break;
                }
                at = batch.previous;
            }
            assert_eq!(found, 20);
        }
    }
}
