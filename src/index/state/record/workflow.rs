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
        let current = self.current.latest().as_u32();
        to.number(wide(self.namespace));
        to.near(current, number);
        to.near(self.newest.as_u32(), current);
        to.position(self.current.changed());
        to.extend_from_slice(self.id.as_bytes());
    }

    fn decode(number: u32, bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack(bytes);
        let namespace = usize::try_from(from.number()?).ok()?;
        let current = from.near(number)?;
        let newest = RunNumber::from_u32(from.near(current)?);
        let current = Latest::new(from.position()?, RunNumber::from_u32(current));
        let id = std::str::from_utf8(from.0).ok()?.into();
        Some(Workflow { id, namespace, current, newest })
    }

    fn heap_bytes(&self) -> usize {
        self.id.len()
    }
}
