//! `kinlog delete`: a run that has closed, or its chain.

use std::path::Path;
use std::process::ExitCode;

use kinlog::retention::Keep;
use kinlog::{Error, Options, RunId};

use crate::args::DeleteArgs;
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Output, plain};

pub(crate) fn delete(
    store: &Path,
    args: &DeleteArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let path = store;
    let store = open::to_change(path)?;
    let run = find(&store.snapshot(), &args.run)?;
    let keep = if args.keep_outcome { Keep::Outcome } else { Keep::Nothing };
    let (runs, of_chain) = match args.chain {
        true => (store.chain(&run.id)?.len() as u64, " of the chain"),
        false => (1, ""),
    };
    store.transact(|tx| match args.chain {
        true => tx.delete_chain(&run.id, keep),
        false => tx.delete_run(&run.id, keep),
    })?;
    store.shut_down()?;
    let kept = match keep {
        Keep::Outcome => "; what they came to is kept",
        Keep::Nothing => "",
    };
    let (runs, workflow) = (ui::many(runs, "run"), plain(&run.workflow_id));
    let done = ui::check("✓ deleted");
    out.prose(0, format!("{done} {runs}{of_chain} of {workflow}, {}{kept}", run.id))?;
    if args.now { purge(path, &run.id, out) } else { Ok(ExitCode::SUCCESS) }
}

/// Rewrites the store's files until nothing of a deleted run is left in them.
fn purge(path: &Path, run: &RunId, out: &mut Output) -> Result<ExitCode, Failure> {
    let bar = ui::spinner("purge");
    let purged = kinlog::admin::purge(path, &Options::new());
    bar.finish_and_clear();
    if purged.is_err() {
        out.prose(
            0,
            "it stays deleted, and its bytes are still in the files, as what follows failed:",
        )?;
    }
    let purged = purged?;
    if let Some(held) = purged.compacted.held_back {
        let consumer = plain(held.consumer.as_deref().unwrap_or("that is being made")).to_string();
        out.prose(
            0,
            format!("its ids are left: consumer {consumer} still has to read some of the log"),
        )?;
        return Ok(ExitCode::FAILURE);
    }
    if !matches!(open::to_read(path)?.run(run), Err(Error::RunNotFound { .. })) {
        out.prose(
            0,
            "its events are gone, but its ids are left: something refers to it, or it is the first run of its type",
        )?;
        return Ok(ExitCode::FAILURE);
    }
    let (runs, bytes) = (ui::many(purged.erased.runs, "run"), purged.compacted.freed_bytes);
    let (erased, freed) = (ui::check("✓ erased"), ui::bytes(bytes));
    out.prose(0, format!("{erased} {runs}: nothing is left in any file; {freed} came back"))?;
    Ok(ExitCode::SUCCESS)
}
