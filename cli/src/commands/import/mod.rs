//! `kinlog import`: recorded histories into the store.

mod files;
mod summary;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use kinlog::{Durability, Error, Store};
use kinlog_temporal::{History, ImportError, ImportOptions, Imported};

use crate::args::ImportArgs;
use crate::failure::{Failure, PARTIAL};
use crate::open;
use crate::ui::{self, Output};
use files::Input;
use summary::Summary;

pub(crate) fn import(
    store: &Path,
    args: &ImportArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let durability = if args.buffered { Durability::Buffered } else { Durability::Sync };
    let options = ImportOptions { namespace: &args.namespace, durability };
    let mut summary = Summary::default();
    let inputs = files::find(&args.paths, &mut summary);
    if inputs.is_empty() {
        // A slip of the keyboard should not leave a store behind.
        summary.print(Duration::ZERO, out)?;
        return Ok(ExitCode::from(PARTIAL));
    }
    let store = open::to_write(store)?;
    let started = Instant::now();
    let bar = ui::byte_bar(inputs.iter().map(|input| input.bytes).sum(), "import");
    let done = import_all(&store, &inputs, &options, &bar, &mut summary);
    bar.finish_and_clear();
    // What was written counts, even if the store then failed.
    summary.print(started.elapsed(), out)?;
    done?;
    store.shut_down()?;
    Ok(if summary.failed() { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS })
}

/// Goes on after a file that fails, but not after a store that fails.
fn import_all(
    store: &Store,
    inputs: &[Input],
    options: &ImportOptions<'_>,
    bar: &ProgressBar,
    summary: &mut Summary,
) -> Result<(), Failure> {
    for input in inputs {
        match import_file(store, &input.path, options) {
            Ok((imported, bytes)) => summary.add(&imported, bytes),
            Err(Refusal::OfStore(failure)) => return Err(failure),
            Err(Refusal::OfFile(reason)) => summary.fail(&input.path, reason),
        }
        bar.inc(input.bytes);
    }
    Ok(())
}

/// Why a history is not in the store.
enum Refusal {
    OfFile(String),
    OfStore(Failure),
}

fn import_file(
    store: &Store,
    path: &Path,
    options: &ImportOptions<'_>,
) -> Result<(Imported, u64), Refusal> {
    let bytes = fs::read(path).map_err(|error| Refusal::OfFile(error.to_string()))?;
    let imported = History::from_bytes(&bytes)
        .and_then(|history| kinlog_temporal::import(store, &history, options))
        .map_err(|error| match is_about_the_store(&error) {
            true => Refusal::OfStore(error.into()),
            false => Refusal::OfFile(error.to_string()),
        })?;
    Ok((imported, bytes.len() as u64))
}

/// Whether the next file would meet the same error.
fn is_about_the_store(error: &ImportError) -> bool {
    let (ImportError::Store(error) | ImportError::Refused { source: error, .. }) = error else {
        return false;
    };
    let of_the_history = matches!(
        error,
        Error::LimitExceeded { .. } | Error::InvalidArgument { .. } | Error::RunExists { .. }
    );
    !of_the_history
}
