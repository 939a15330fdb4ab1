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
    // The files that were to be merged are there in any case.
    let note = |merged: Result<()>| {
        if let Err(error) = merged
            && !freezer.has_ended()
        {
            freezer.not_merged(error);
            recording.add(&INDEX_FAILURES, &[], 1);
        }
    };
    note(writer.merge_left());
    writer.remove_others();
    while let Some(layer) = freezer.next() {
        let written = writer.write_next(&layer);
        // Not its entries, which are to leave memory.
        drop(layer);
        if written {
            note(writer.merge());
        }
        writer.remove_others();
        let (waiting, _) = freezer.waiting();
        recording.set(&INDEX_LAYERS, &[], wide(waiting));
    }
    writer.discard_damaged();
}
