//! Where the demo's store goes.

use std::path::{Path, PathBuf};

/// `folder`, if there is no store in it; else a new folder within.
pub(super) fn free(folder: &Path) -> PathBuf {
    if !holds_a_store(folder) {
        return folder.to_owned();
    }
    let numbered = (2u32..).map(|number| folder.join(format!("demo-{number}")));
    numbered.take(100_000).find(|place| !place.exists()).unwrap_or_else(|| folder.join("demo"))
}

/// Even one that cannot be opened: nothing is to be written beside it.
fn holds_a_store(folder: &Path) -> bool {
    ["MANIFEST", "LOCK", "log"].iter().any(|name| folder.join(name).exists())
}
