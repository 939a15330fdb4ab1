//! `kinlog export`: a run, as Temporal's tools write it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::args::{ExportArgs, Format};
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{Output, plain_json};

pub(crate) fn export(
    store: &Path,
    args: &ExportArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    if args.format == Format::Proto && out.width().is_some() {
        return Err(Failure::Other(
            "protobuf is binary and this is a terminal: write it to a file, \
             as in `kinlog export RUN --format proto > run.pb`"
                .to_owned(),
        ));
    }
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let run = find(&snapshot, &args.run)?;
    let history = snapshot.history(&run.id)?;
    let history = if run.is_imported {
        kinlog_temporal::export(&history)
    } else {
        kinlog_temporal::export_live(&history)
    };
    let history = history.map_err(|error| match Failure::from(error) {
        Failure::Other(why) => {
            Failure::Other(format!("run {} is not one of Temporal's: {why}", run.id))
        }
        other => other,
    })?;
    match args.format {
        Format::Proto => out.write_all(&history.to_proto())?,
        Format::Json => writeln!(out, "{}", plain_json(&history.to_json()?))?,
    }
    Ok(ExitCode::SUCCESS)
}
