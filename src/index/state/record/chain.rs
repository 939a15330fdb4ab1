//! A chain in the cold index.

use crate::bytes::wide;
use crate::id::{ChildSlot, RunNumber};
use crate::index::cold::Family;
use crate::index::pack::{Pack, Unpack};
use crate::index::state::chains::{Chain, Members};
use crate::index::state::layers::Record;
use crate::index::state::links::ChildRef;
use crate::index::state::runs::Size;

const IMPORTED: u8 = 1;
const PARENT: u8 = 2;
const ROOT: u8 = 4;
const FIRST_ALONE: u8 = 8;
const DELETED: u8 = 16;
const ERASED: u8 = 32;

impl Record for Chain {
    const FAMILY: Family = Family::Chains;

    fn encode(&self, number: u32, to: &mut Vec<u8>) {
        let flag = |flag, set: bool| if set { flag } else { 0 };
        let runs = self.runs();
        let first_alone = matches!(runs, [run] if run.as_u32() == number);
        to.push(
            flag(IMPORTED, self.imported.is_some())
                | flag(PARENT, self.parent.is_some())
                | flag(ROOT, self.root.is_some())
                | flag(FIRST_ALONE, first_alone)
                | flag(DELETED, self.deleted > 0)
                | flag(ERASED, self.erased.is_some()),
        );
        if let Some(first) = &self.imported {
            to.extend_from_slice(first.as_bytes());
        }
        if let Some(ChildRef { parent, slot }) = self.parent {
            to.near(parent.as_u32(), number);
            to.number(slot.as_u32().into());
        }
        if let Some(root) = self.root {
            to.near(root.as_u32(), number);
        }
        if self.deleted > 0 {
            to.number(self.deleted.into());
        }
        if let Some(Size { runs, events, bytes }) = self.erased.as_deref() {
            [*runs, *events, *bytes].into_iter().for_each(|number| to.number(number));
        }
        if first_alone {
            return;
        }
        to.number(wide(runs.len()));
        let mut before = number;
        for run in runs {
            to.near(run.as_u32(), before);
            before = run.as_u32();
        }
    }

    fn decode(number: u32, bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack(bytes);
        let flags = from.byte()?;
        let has = |flag| flags & flag != 0;
        let imported = if has(IMPORTED) { Some(from.run_id()?) } else { None };
        let parent = match has(PARENT) {
            true => {
                let parent = RunNumber::from_u32(from.near(number)?);
                Some(ChildRef { parent, slot: ChildSlot::from_u32(from.narrow()?) })
            }
            false => None,
        };
        let root = if has(ROOT) { Some(RunNumber::from_u32(from.near(number)?)) } else { None };
        let deleted = if has(DELETED) { from.narrow()? } else { 0 };
        let erased = match has(ERASED) {
            true => {
                let (runs, events, bytes) = (from.number()?, from.number()?, from.number()?);
                Some(Box::new(Size { runs, events, bytes }))
            }
            false => None,
        };
        let members = match has(FIRST_ALONE) {
            true => Members::One(RunNumber::from_u32(number)),
            false => {
                let mut before = number;
                let runs = 0..from.count()?;
                let runs = runs.map(|_| {
                    before = from.near(before)?;
                    Some(RunNumber::from_u32(before))
                });
                let runs = runs.collect::<Option<Vec<_>>>()?;
                if let [run] = runs.as_slice() { Members::One(*run) } else { Members::Many(runs) }
            }
        };
        from.finish(Chain { members, parent, root, imported, deleted, erased })
    }

    fn heap_bytes(&self) -> usize {
        let members = match &self.members {
            Members::One(_) => 0,
            Members::Many(runs) => size_of_val(runs.as_slice()),
        };
        members + self.erased.as_deref().map_or(0, size_of_val)
    }
}
