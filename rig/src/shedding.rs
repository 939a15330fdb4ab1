//! What worlds that shed do besides: they leave something dead behind, for compactions and erasures.

use kinlog::retention::Keep;
use kinlog::{
    Close, NewChild, NewReset, NewRun, NextRun, Result, RunFilter, RunInfo, RunStatus, Snapshot,
    Transaction,
};

use crate::random::Random;
use crate::world::{NAMESPACE, TIMERS, id, payload};

/// The workflow id of the child that continues for ever.
const CRON: &str = "cron";
/// That of its parent.
const KEEPER: &str = "keeper";

/// All runs but those of the child that continues for ever, and of its parent.
pub(crate) fn others(snapshot: &Snapshot) -> Result<Vec<RunInfo>> {
    let mut runs = snapshot.runs(RunFilter::all()).collect::<Result<Vec<RunInfo>>>()?;
    runs.retain(|run| ![CRON, KEEPER].contains(&run.workflow_id.as_ref()));
    Ok(runs)
}

/// Leaves something dead behind, or makes what can be: of runs, those too that share events by a reset.
pub(crate) fn shed(
    snapshot: &Snapshot,
    tx: &mut Transaction<'_>,
    random: &mut Random,
) -> Result<()> {
    let runs = others(snapshot)?;
    let key = [random.below(6) as u8];
    if runs.is_empty() || random.chance(40) {
        return match random.chance(75) {
            true => tx.put(TIMERS, &key, &vec![key[0]; 10_000 + random.below(15_000)]),
            false => tx.delete(TIMERS, &key),
        };
    }
    let run = &runs[random.below(runs.len())];
    let keep = random.pick(&[Keep::Outcome, Keep::Nothing]);
    match random.below(4) {
        0 => {
            let last = u32::try_from(1 + random.below(run.events as usize)).unwrap_or(1);
            tx.reset(&run.id, NewReset::to(last).id(id(random))).map(drop)
        }
        1 => tx.delete_chain(&run.id, keep),
        _ if run.status == RunStatus::Running => {
            tx.close_run(&run.id, Close::completed(&payload(random))).map(drop)
        }
        _ => tx.delete_run(&run.id, keep),
    }
}

/// What erasing is for: runs to which nothing refers, and a child that continues for ever.
pub(crate) fn die_away(
    snapshot: &Snapshot,
    tx: &mut Transaction<'_>,
    random: &mut Random,
    number: usize,
) -> Result<()> {
    match random.chance(50) {
        true => live_briefly(snapshot, tx, random, number),
        false => go_on(snapshot, tx, random),
    }
}

/// Has a child continue, and deletes the runs that were in the middle of its chain.
fn go_on(snapshot: &Snapshot, tx: &mut Transaction<'_>, random: &mut Random) -> Result<()> {
    let open = |run: &RunInfo| run.workflow_id.as_ref() == CRON && run.status == RunStatus::Running;
    let runs = snapshot.runs(RunFilter::all()).collect::<Result<Vec<_>>>()?;
    let Some(run) = runs.iter().find(|run| open(run)) else {
        let keeper = tx.start(NewRun::new(NAMESPACE, KEEPER, "Brief").id(id(random)))?;
        let child = NewChild::new(CRON, "Brief").id(id(random));
        return tx.spawn_child(&keeper, child).map(drop);
    };
    let chain = snapshot.chain(&run.id)?.runs().collect::<Result<Vec<_>>>()?;
    for before in chain.iter().skip(1).filter(|before| before.id != run.id) {
        tx.delete_run(&before.id, Keep::Nothing)?;
    }
    let mut last = run.id;
    for _ in 0..3 {
        let input = payload(random);
        last = tx.continue_as_new(&last, NextRun::new("Brief").input(&input).id(id(random)))?;
    }
    Ok(())
}

/// Deletes runs to which nothing refers, and makes others.
fn live_briefly(
    snapshot: &Snapshot,
    tx: &mut Transaction<'_>,
    random: &mut Random,
    number: usize,
) -> Result<()> {
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        if run.workflow_id.starts_with("brief-") && run.deleted.is_none() {
            tx.delete_run(&run.id, Keep::Nothing)?;
        }
    }
    for brief in 0..2 {
        let (workflow, input) = (format!("brief-{number}-{brief}"), payload(random));
        let run = NewRun::new(NAMESPACE, &workflow, "Brief").input(&input);
        let run = tx.start(run.id(id(random)))?;
        tx.close_run(&run, Close::completed(b"soon"))?;
    }
    Ok(())
}
