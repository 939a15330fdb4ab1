//! `kinlog import`: recorded histories into the store.

mod files;
mod summary;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use kinlog::{Durability, Error, Store};
use kinlog_temporal::{
    ImportError, ImportOptions, ReadOptions, Unknown, import as write, read_histories,
};

use crate::args::{self, ImportArgs};
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
    let unknown = match args.unknown {
        args::Unknown::Refuse => Unknown::Refuse,
        args::Unknown::Fields => Unknown::KeepFields,
        args::Unknown::Keep => Unknown::Keep,
    };
    let how = How {
        read: ReadOptions { unknown },
        write: ImportOptions { namespace: &args.namespace, durability },
    };
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
    let done = import_all(&store, &inputs, &how, &bar, &mut summary);
    summary.bytes = bar.position();
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
    how: &How<'_>,
    bar: &ProgressBar,
    summary: &mut Summary,
) -> Result<(), Failure> {
    for input in inputs {
        match import_file(store, input, how, bar, summary) {
            Ok(()) => {}
            Err(Refusal::OfStore(failure)) => return Err(failure),
            Err(Refusal::OfFile(reason)) => summary.fail(&input.path, reason),
        }
    }
    Ok(())
}

/// Why the rest of a file is not read.
enum Refusal {
    OfFile(String),
    OfStore(Failure),
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        match error {
            error if is_about_the_store(&error) => Refusal::OfStore(error.into()),
            ImportError::UnknownEventType { .. } | ImportError::UnknownEnumValue { .. } => {
                Refusal::OfFile(format!("{error}, which `--unknown keep` keeps"))
            }
            ImportError::UnknownField { .. } => {
                Refusal::OfFile(format!("{error}, which `--unknown fields` keeps"))
            }
            error => Refusal::OfFile(error.to_string()),
        }
    }
}

/// How histories are read, and written.
struct How<'a> {
    read: ReadOptions,
    write: ImportOptions<'a>,
}

/// Imports every history of a file; goes on after one that the store refuses.
fn import_file(
    store: &Store,
    input: &Input,
    how: &How<'_>,
    bar: &ProgressBar,
    summary: &mut Summary,
) -> Result<(), Refusal> {
    let from = input.open().map_err(|error| Refusal::OfFile(error.to_string()))?;
    let mut number = 0;
    read_histories(bar.wrap_read(from), how.read, |history| {
        number += 1;
        let imported = match write(store, &history, &how.write) {
            Ok(imported) => imported,
            Err(error) => {
                if let ImportError::Unfinished { events, commits, .. } = &error {
                    summary.add_part(*events, *commits);
                }
                let refusal = Refusal::from(error);
                let Refusal::OfFile(reason) = refusal else { return Err(refusal) };
                let which = if number > 1 { format!("history {number}: ") } else { String::new() };
                summary.fail(&input.path, which + &reason);
                return Ok(());
            }
        };
        summary.add(&imported, history.unknown());
        Ok(())
    })
}

/// Whether the next file would meet the same error.
fn is_about_the_store(error: &ImportError) -> bool {
    let error = match error {
        ImportError::Store(error)
        | ImportError::Refused { source: error, .. }
        | ImportError::Unfinished { source: error, .. } => error,
        _ => return false,
    };
    let of_the_history = matches!(
        error,
        Error::LimitExceeded { .. }
            | Error::InvalidArgument { .. }
            | Error::RunExists { .. }
            | Error::RunDeleted { .. }
    );
    !of_the_history
}
