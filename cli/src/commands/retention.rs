//! `kinlog retention` and `kinlog expire`: how long runs are kept, and deleting those that are kept no longer.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kinlog::retention::{Expired, Retention};
use serde::Serialize;

use crate::args::{ExpireArgs, RetentionArgs};
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Output, plain};

pub(crate) fn retention(
    store: &Path,
    args: &RetentionArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let namespace = args.of.as_str();
    let retention = match args.changes() {
        true => {
            let store = open::to_change(store)?;
            let mut retention = store.retention(namespace);
            args.change(&mut retention);
            store.set_retention(namespace, retention)?;
            store.shut_down()?;
            retention
        }
        false => open::to_read(store)?.retention(namespace),
    };
    print(namespace, &retention, out)?;
    Ok(ExitCode::SUCCESS)
}

fn print(namespace: &str, retention: &Retention, out: &mut Output) -> Result<(), Failure> {
    let kept = |age: Option<Duration>| match age {
        Some(age) => format!("{} after a run has closed", ui::span(age)),
        None => "for ever".to_owned(),
    };
    out.prose(0, format!("{} keeps", plain(namespace)))?;
    out.prose(2, format!("histories  {}", kept(retention.history)))?;
    out.prose(2, format!("outcomes   {}", kept(retention.outcome)))?;
    let runs = retention.chain_runs.map_or("all".to_owned(), |runs| format!("the last {runs}"));
    out.prose(2, format!("chains     {runs} of their runs"))?;
    Ok(())
}

/// What an expiry came to, for scripts.
#[derive(Serialize)]
struct Told {
    runs: u64,
    outcomes: u64,
    refused: u64,
    more: bool,
}

pub(crate) fn expire(
    store: &Path,
    args: &ExpireArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = open::to_change(store)?;
    let now = args.now.unwrap_or_else(ui::now);
    let Expired { runs, outcomes, refused, more, .. } =
        store.expire(now, args.most.unwrap_or(usize::MAX))?;
    store.shut_down()?;
    if args.json {
        out.json(&Told { runs, outcomes, refused, more })?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = ui::check("✓ expired");
    let (gone, kept) = (ui::many(runs, "run"), ui::many(outcomes, "history"));
    out.prose(0, format!("{done} {gone}, and {kept} of runs whose outcomes are kept"))?;
    if refused > 0 {
        let refused = ui::many(refused, "run");
        out.prose(2, format!("{refused} cannot be deleted yet: their duties are not settled"))?;
    }
    if more {
        out.prose(2, "there are more: call it again")?;
    }
    Ok(ExitCode::SUCCESS)
}
