//! Opening the store, and saying what was odd about it.

use std::path::Path;

use console::style;
use kinlog::admin::IndexFound;
use kinlog::{Options, Store, Verdict};

use crate::failure::Failure;
use crate::ui;

/// Opens the store for looking: works beside a writer, changes nothing.
pub(crate) fn to_read(path: &Path) -> Result<Store, Failure> {
    let store = Options::new().read_only(true).open(path)?;
    say_what_was_odd(&store, "they are left where they are");
    Ok(store)
}

/// Opens the store for writing, and makes it if it is not there.
pub(crate) fn to_write(path: &Path) -> Result<Store, Failure> {
    let store = Store::open(path)?;
    say_what_was_odd(&store, "they were moved to quarantine");
    Ok(store)
}

/// Opens the store for writing, which must be there.
pub(crate) fn to_change(path: &Path) -> Result<Store, Failure> {
    let store = Options::new().create(false).open(path)?;
    say_what_was_odd(&store, "they were moved to quarantine");
    Ok(store)
}

fn say_what_was_odd(store: &Store, what_of_them: &str) {
    let report = store.report();
    if report.index == IndexFound::Unusable {
        let note = style("note:").for_stderr().yellow().bold();
        eprintln!(
            "{note} the index on disk does not fit the log, or is damaged; the whole log was read instead"
        );
    }
    let what = match report.verdict {
        Verdict::Torn => "the beginning of a commit that was never finished",
        Verdict::Ambiguous => "no whole commit, but may have been one before a power loss",
        _ => return,
    };
    let bytes = report.removed_bytes;
    let note = style("note:").for_stderr().yellow().bold();
    eprintln!("{note} the last {bytes} bytes of the log are {what}; {what_of_them}");
    for path in &report.quarantined {
        eprintln!("      {}", ui::path(path));
    }
}
