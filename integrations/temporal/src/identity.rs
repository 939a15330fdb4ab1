//! Which run of a store a history becomes.

use kinlog::RunId;
use sha2::{Digest, Sha256};

use crate::History;

/// The id a history is written under: the run's own, as far as the history says it.
///
/// A history that does not name its run gets an id made of its bytes, so that it is recognised
/// when it comes again.
pub(crate) fn own_id(history: &History) -> RunId {
    // In a chain the first run is another one, so its id is of no use to the later runs.
    let first = || history.first_run_id().filter(|_| !history.continues_another());
    history.run_id().or_else(first).unwrap_or_else(|| made_of(&[b"history", &history.to_proto()]))
}

/// The id for a history whose own id stands for another history in the store: an edited copy, say.
///
/// It depends on nothing but the two, so that it does not matter in which order they come.
pub(crate) fn other_id(own: RunId, history: &History) -> RunId {
    made_of(&[own.as_bytes(), &history.to_proto()])
}

/// A UUID of version 8, which is the one for ids of one's own making.
fn made_of(parts: &[&[u8]]) -> RunId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = 0x80 | (*version & 0x0f);
    *variant = 0x80 | (*variant & 0x3f);
    RunId::from_bytes(bytes)
}
