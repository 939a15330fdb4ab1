//! The bytes of entries in the cold index. They are derived from the log, and may be of another form in the next
//! version: a checkpoint of another version is not used.

mod chain;
mod links;
mod run;
mod workflow;

pub(crate) use links::{links_in, relation_in};

#[cfg(test)]
mod tests {
    use kinlog_testing::files::directory;
    use kinlog_testing::steps::families;

    use super::{links_in, relation_in};
    use crate::Options;
    use crate::id::{ChildSlot, Position};
    use crate::index::Index;
    use crate::index::state::{Chain, Record, Run, Workflow};
    use crate::log::open::Replay;

    /// Looks at what is decoded of an entry one of whose bytes was changed: nothing, or another entry.
    fn changed<V: Record>(number: u32, entry: &V) -> usize {
        let mut whole = vec![];
        entry.encode(number, &mut whole);
        let mut refused = 0;
        for at in 0..whole.len() {
            let _ = V::decode_whole(number, &whole[..at]);
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let _ = (V::decode(number, &bytes), links_in(&bytes));
                for slot in 0..3 {
                    let _ = relation_in(&bytes, ChildSlot::from_u32(slot));
                }
                match V::decode_whole(number, &bytes) {
                    Some(other) => other.encode(number, &mut vec![]),
                    None => refused += 1,
                }
            }
        }
        refused
    }

    #[test]
    fn an_entry_is_decoded_or_refused_whatever_its_bytes_are() {
        let dir = directory();
        families(dir.path(), 1);
        let store = Options::new().read_only(true).open(dir.path()).unwrap();
        let mut index = Index::default();
        for frame in store.shared.published.view().frames(Position::START) {
            index.commit(&frame.unwrap()).unwrap();
        }
        let runs = index.runs.iter().map(|(number, run)| changed::<Run>(number.as_u32(), &run));
        let workflows = index.namespaces.workflows();
        let workflows =
            workflows.map(|(number, workflow)| changed::<Workflow>(number.as_u32(), &workflow));
        let chains = index.chains.iter();
        let chains = chains.map(|(number, chain)| changed::<Chain>(number.as_u32(), &chain));
        for refused in [runs.sum::<usize>(), workflows.sum(), chains.sum()] {
            assert!(refused > 0);
        }
    }
}
