//! A workflow in the cold index.

use crate::bytes::wide;
use crate::id::RunNumber;
use crate::index::cold::Family;
use crate::index::pack::{Pack, Unpack};
use crate::index::state::layers::Record;
use crate::index::state::namespaces::Workflow;
use crate::index::state::undo::Latest;

impl Record for Workflow {
    const FAMILY: Family = Family::Workflows;

    fn encode(&self, number: u32, to: &mut Vec<u8>) {
        let (current, newest) = (self.current.latest().as_u32(), self.newest.as_u32());
        let more = current != number || newest != number;
        to.number(wide(self.namespace) << 1 | u64::from(more));
        if more {
            to.near(current, number);
            to.near(newest, current);
        }
        to.position(self.current.changed());
        to.extend_from_slice(self.id.as_bytes());
    }

    fn decode(number: u32, bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack(bytes);
        let namespace = from.number()?;
        let (namespace, more) = (usize::try_from(namespace >> 1).ok()?, namespace & 1 != 0);
        let current = if more { from.near(number)? } else { number };
        let newest = RunNumber::from_u32(if more { from.near(current)? } else { number });
        let current = Latest::new(from.position()?, RunNumber::from_u32(current));
        let id = std::str::from_utf8(from.0).ok()?.into();
        Some(Workflow { id, namespace, current, newest })
    }

    fn heap_bytes(&self) -> usize {
        self.id.len()
    }
}
