//! Proving that the store is what it says: every frame, every event, every sum, anew.

use super::Store;
use super::run::info;
use crate::bytes::wide;
use crate::error::{Corruption, Error, Result};
use crate::id::{Position, RunId};
use crate::index::{Contradiction, Index};
use crate::log::frame::OVERHEAD_BYTES;
use crate::log::{Replay, SEGMENT_HEADER_BYTES};

/// How far a verification has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes of commits verified.
    pub bytes: u64,
    /// Commits verified.
    pub commits: u64,
}

/// What a verification looked at; that it returned at all says that everything was right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Commits whose checks, contents and order were verified.
    pub commits: u64,
    /// Events that were decoded.
    pub events: u64,
    /// Runs whose histories were read back and added up.
    pub runs: u64,
    /// Bytes of commits.
    pub bytes: u64,
}

impl Store {
    /// Reads the whole log as of now, beside whoever writes: verifies every frame, decodes every
    /// event, builds the index anew from nothing and compares it with the one in use, reads every
    /// run back and adds up its sizes. Proves the trees: one parent each, no run below itself,
    /// counts and open duties computed again from the histories. `progress` is called now and then.
    ///
    /// Relations and duties in use are compared if nothing is committed meanwhile.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for the first thing that is not as it should be.
    pub fn verify(&self, mut progress: impl FnMut(VerifyProgress)) -> Result<VerifyReport> {
        let snapshot = self.snapshot();
        let view = snapshot.view();
        let mut report = VerifyReport::default();
        let mut fresh = Index::default();
        for frame in view.frames(Position::START) {
            let frame = frame?;
            fresh
                .commit(&frame)
                .map_err(|_| view.corrupt(frame.position, "a commit makes no sense", 0, 0))?;
            report.commits += 1;
            report.bytes += wide(frame.header.frame_bytes());
            if report.commits % 1024 == 0 {
                progress(VerifyProgress { bytes: report.bytes, commits: report.commits });
            }
        }
        self.verify_tails(&snapshot)?;
        fresh.prove().map_err(|contradiction| contradicted(view, &contradiction))?;
        self.verify_ties(&snapshot, &fresh)?;
        verify_namespaces(&snapshot, &fresh)?;
        for number in 0..fresh.runs.len() {
            let found = info(&snapshot.index(), number, &snapshot);
            let expected = info(&fresh, number, &snapshot);
            let (Some(expected), Some(found)) = (expected, found) else {
                return Err(mismatch(view, "a run is missing from the index", 1, 0));
            };
            if expected != found {
                let (expected, found) = (expected.bytes, found.bytes);
                return Err(mismatch(view, "the index differs from the log", expected, found));
            }
            let history = snapshot.history(&expected.id)?;
            let (mut events, mut bytes) = (0u32, 0u64);
            for event in &history {
                events += 1;
                bytes += u64::from(event?.size());
            }
            if (events, bytes) != (expected.events, expected.bytes) {
                let what = "a run does not add up to its size";
                let error = mismatch(view, what, expected.bytes, bytes);
                return Err(of_run(error, expected.id));
            }
            report.events += u64::from(events);
            report.runs += 1;
        }
        progress(VerifyProgress { bytes: report.bytes, commits: report.commits });
        Ok(report)
    }

    /// Compares relations, chains and duties with those in use, if nothing was committed since.
    fn verify_ties(&self, snapshot: &super::Snapshot, fresh: &Index) -> Result<()> {
        let view = snapshot.view();
        let index = snapshot.index();
        if index.end != view.end {
            return Ok(());
        }
        let differs = (0..fresh.runs.len()).find(|number| {
            let runs = fresh.runs.get(*number).zip(index.runs.get(*number));
            runs.is_none_or(|(expected, found)| expected.ties != found.ties)
        });
        if differs.is_some() || fresh.chains != index.chains || fresh.duties != index.duties {
            let run = differs.and_then(|number| fresh.runs.get(number)).map(|run| run.id);
            let what = "relations, chains or duties differ from the log";
            let error = mismatch(view, what, 0, 0);
            return Err(run.map_or(error.clone(), |run| of_run(error, run)));
        }
        Ok(())
    }

    /// What lies behind the frame that seals a segment must be zero.
    fn verify_tails(&self, snapshot: &super::Snapshot) -> Result<()> {
        let view = snapshot.view();
        let (last, _) = view.identity.locate(view.end);
        for number in 0..last {
            let mut at = view.identity.first_frame(number);
            let next = view.identity.first_frame(number + 1).as_u64() - wide(SEGMENT_HEADER_BYTES);
            for frame in view.frames(at) {
                let frame = frame?;
                if frame.position.as_u64() >= next {
                    break;
                }
                at = frame.end();
            }
            let tail = at.plus(wide(OVERHEAD_BYTES));
            let len = usize::try_from(next - tail.as_u64()).unwrap_or(usize::MAX);
            let bytes = view.bytes(tail, len)?;
            if let Some(dirty) = bytes.iter().position(|byte| *byte != 0) {
                let at = tail.plus(wide(dirty));
                let found = bytes.get(dirty).copied().unwrap_or_default();
                let what = "bytes behind the end of a full segment";
                return Err(view.corrupt(at, what, 0, found.into()));
            }
        }
        Ok(())
    }
}

fn verify_namespaces(snapshot: &super::Snapshot, fresh: &Index) -> Result<()> {
    fresh.namespaces.iter().try_for_each(|namespace| {
        let expected = *namespace.size.latest();
        let found = snapshot.namespace_size(&namespace.name);
        if expected == found {
            return Ok(());
        }
        let what = "the size of a namespace differs from the log";
        Err(mismatch(snapshot.view(), what, expected.bytes, found.bytes))
    })
}

fn contradicted(view: &crate::log::View, found: &Contradiction) -> Error {
    of_run(mismatch(view, found.what, found.expected, found.found), found.run)
}

fn of_run(error: Error, run: RunId) -> Error {
    match error {
        Error::Corrupt(corruption) if !run.is_nil() => {
            Error::Corrupt(Box::new(Corruption { runs: vec![run], ..*corruption }))
        }
        other => other,
    }
}

fn mismatch(view: &crate::log::View, what: &'static str, expected: u64, found: u64) -> Error {
    view.corrupt(view.end, what, expected, found)
}

#[cfg(test)]
mod tests {
    use crate::index::DAMAGES;
    use crate::{NewChild, NewRun, Options};

    #[test]
    fn an_index_that_differs_from_the_log_is_found_out() {
        for (damage, inflict) in DAMAGES {
            let dir = tempfile::tempdir().unwrap();
            let store = Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
            let mut tx = store.begin();
            let parent = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
            tx.spawn_child(&parent, NewChild::new("ship", "Shipping")).unwrap();
            tx.initiate_child(&parent, NewChild::new("late", "Shipping")).unwrap();
            tx.commit().unwrap();
            store.verify(|_| ()).unwrap();
            let proof = {
                let mut index = store.shared.index.write();
                inflict(&mut index);
                index.prove()
            };
            assert!(proof.is_err(), "{damage} is proven");
            assert!(store.verify(|_| ()).is_err(), "{damage} is verified");
        }
    }
}
