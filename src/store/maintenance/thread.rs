//! The thread that writes the cold index.

use std::sync::Arc;

use super::write::IndexWriter;
use crate::error::{Error, Result};
use crate::index::cold::Cold;
use crate::store::shared::Shared;
use crate::sync::thread::{self, JoinHandle};

/// Starts the thread of a writer whose cold index is `cold`. It ends when no layer comes any more.
pub(crate) fn start(shared: &Arc<Shared>, cold: Arc<Cold>) -> Result<JoinHandle<()>> {
    let working = shared.clone();
    let builder = thread::Builder::new().name("kinlog-index".into());
    let spawned = builder.spawn(move || work(&working, cold));
    spawned.map_err(|e| Error::io("start a thread for", &shared.paths.root, e))
}

fn work(shared: &Shared, cold: Arc<Cold>) {
    let mut writer = IndexWriter::new(shared, cold);
    while let Some(layer) = shared.freezer.next() {
        match writer.write(&layer) {
            Ok(()) => {
                shared.freezer.written();
                // Whatever stops it, the files that were to be merged are there.
                let _ = writer.merge(&layer);
            }
            Err(_) => shared.freezer.failed(),
        }
    }
    writer.discard_damaged();
}
