//! `kinlog delete`: a run that has closed, or its chain.

use std::path::Path;
use std::process::ExitCode;

use kinlog::retention::Keep;

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
    let store = open::to_change(store)?;
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
    Ok(ExitCode::SUCCESS)
}
