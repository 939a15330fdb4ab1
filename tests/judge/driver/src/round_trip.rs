//! A history of the server, into a store and out of it again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinlog::{Durability, Options};
use kinlog_temporal::{History, ImportOptions, export, import};
use serde_json::{Value, json};

use crate::Result;

/// Imports a history and exports it; both in protobuf as base64.
pub(crate) fn round_trip(history: &str) -> Result<Value> {
    let history = History::from_proto(&STANDARD.decode(history)?)?;
    let dir = tempfile::tempdir()?;
    let store = Options::new().segment_bytes(1 << 20).open(dir.path())?;
    let options = ImportOptions { durability: Durability::Buffered, ..Default::default() };
    let imported = import(&store, &history, &options)?;
    store.verify(|_| ())?;
    let exported = export(&store.history(&imported.run_id)?)?;
    Ok(json!({ "history": STANDARD.encode(exported.to_proto()), "unknown": history.unknown() }))
}
