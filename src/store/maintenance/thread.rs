//! The thread that writes the cold index.

use std::sync::Arc;

use super::write::{IndexWriter, discard_unused};
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::index::cold::Cold;
use crate::recorder::{INDEX_FAILURES, INDEX_LAYERS};
use crate::store::shared::Shared;
use crate::sync::thread::{self, JoinHandle};

/// Starts the thread of a writer whose cold index is `cold`. It ends when no layer comes any more.
pub(crate) fn start(shared: &Arc<Shared>, cold: Arc<Cold>) -> Result<JoinHandle<()>> {
    discard_unused(shared, &cold);
    let working = shared.clone();
    let builder = thread::Builder::new().name("kinlog-index".into());
    let spawned = builder.spawn(move || work(&working, cold));
    spawned.map_err(|e| Error::io("start a thread for", &shared.paths.root, e))
}

fn work(shared: &Shared, cold: Arc<Cold>) {
    let mut writer = IndexWriter::new(shared, cold);
    let (freezer, recording) = (&shared.freezer, &shared.recording);
    // The files that were to be merged are there in any case. What failed may have got as far as the checkpoint, which names
    // other files then: nothing is removed.
    let ended = |writer: &IndexWriter<'_>, merged: Result<()>| match merged {
        Ok(()) => writer.remove_others(),
        Err(_) if freezer.has_ended() => {}
        Err(error) => {
            freezer.not_merged(error);
            recording.add(&INDEX_FAILURES, &[], 1);
        }
    };
    let merged = writer.merge_left();
    ended(&writer, merged);
    while let Some(layer) = freezer.next() {
        let written = writer.write_next(&layer);
        // Not its entries, which are to leave memory.
        drop(layer);
        if written {
            let merged = writer.merge();
            ended(&writer, merged);
        }
        let (waiting, _) = freezer.waiting();
        recording.set(&INDEX_LAYERS, &[], wide(waiting));
    }
    writer.discard_damaged();
}
