//! What the sizes of children count and the new store lacks: runs that were erased, and events that a compaction dropped of
//! deleted ones. The new store says of the chain of such a child that as much was erased.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::id::RunId;
use crate::index::{ErasedSize, Index, Size};
use crate::log::format::Put;
use crate::store::CommitImport;

/// By the first run of a chain, what the source said last.
#[derive(Default)]
pub(super) struct ChildSizes(BTreeMap<RunId, Size>);

impl ChildSizes {
    /// Takes in a row of the source; whether it says how much of a chain was erased.
    pub(super) fn take(&mut self, row: &Put<'_>) -> bool {
        let said = ErasedSize::of(row).ok().flatten();
        self.0.extend(said.map(|said| (said.first, said.size)));
        said.is_some()
    }

    /// A run begins: what was said of a chain whose first run had its id was of one that was erased.
    pub(super) fn begin(&mut self, run: &RunId) {
        self.0.remove(run);
    }

    /// Says it in the new store. `filled`: runs that may lack events there, and what they took in the source.
    pub(super) fn say(
        mut self,
        import: &mut CommitImport<'_>,
        filled: impl Iterator<Item = (RunId, u32)>,
    ) -> Result<()> {
        for (run, bytes) in filled {
            let lacking = lacking(&import.index(), &run, bytes);
            if let Some((first, bytes)) = lacking {
                let known = import.index().erased_of(&first).unwrap_or_default();
                self.0.entry(first).or_insert(known).bytes += bytes;
            }
        }
        for (first, size) in self.0 {
            import.say_erased(&ErasedSize::new(first, size))?;
        }
        Ok(())
    }
}

/// The first run of a run's chain, and how many of so many bytes the run lacks.
fn lacking(index: &Index, run: &RunId, bytes: u32) -> Option<(RunId, u64)> {
    let number = index.runs.number(run)?;
    let (chain, here) = index.runs.look(number, |run| (run.chain, run.state.latest().bytes))?;
    let first = index.first_run(chain, &*index.chains.get(chain)?)?;
    let lacking = bytes.checked_sub(here).filter(|lacking| *lacking > 0)?;
    Some((first, lacking.into()))
}
