//! All that a store says about its runs, duties and rows, but for times.

use kinlog::{DutyFilter, RunFilter, RunId, Snapshot, Store};

use crate::take::{NAMESPACE, TABLE};

/// In lines that can be compared, told with the names that `name` gives.
pub(crate) fn portrait(store: &Store, name: &dyn Fn(RunId) -> RunId) -> Vec<String> {
    let snapshot = store.snapshot();
    let mut lines = vec![];
    for info in snapshot.runs(RunFilter::all().namespace(NAMESPACE)).map(Result::unwrap) {
        let parent = snapshot.parent(&info.id).unwrap();
        let parent = parent.map(|parent| (name(parent.run), parent.initiated_event_id));
        let base = info.base.map(|(base, shared)| (name(base), shared));
        lines.push(format!(
            "run {} of {} {}: {:?}, {} events, {} bytes, cancel {}, current {}, base {base:?}, \
             parent {parent:?}, deleted {:?}",
            name(info.id),
            name(info.first_run_id),
            info.workflow_id,
            info.status,
            info.events,
            info.bytes,
            info.cancel_requested,
            info.is_current,
            info.deleted,
        ));
        if info.deleted.is_some() {
            continue;
        }
        let activities = store.open_activities(&info.id).unwrap();
        lines.push(format!("run {} waits for {activities:?}", name(info.id)));
        lines.push(format!("run {} has {}", name(info.id), history(&snapshot, info.id)));
        children(&snapshot, info.id, name, &mut lines);
    }
    let mut duties: Vec<String> = store
        .duties(DutyFilter::all())
        .map(Result::unwrap)
        .map(|duty| format!("{} {} {}", duty.kind(), name(duty.run()), duty.initiated_event_id()))
        .collect();
    duties.sort();
    lines.extend(duties);
    let rows = snapshot.rows(TABLE, ..).map(|row| format!("{:?}", row.unwrap()));
    lines.extend(rows);
    lines
}

/// The content is compared commit by commit; this is how the commits are strung together.
fn history(snapshot: &Snapshot, run: RunId) -> String {
    let history = snapshot.history(&run).unwrap();
    let events = history.iter().map(|event| {
        let event = event.unwrap();
        assert!(event.id() > 0);
        format!("{}:{}:{}", event.id(), event.kind().number(), event.size())
    });
    events.collect::<Vec<_>>().join(" ")
}

fn children(
    snapshot: &Snapshot,
    run: RunId,
    name: &dyn Fn(RunId) -> RunId,
    lines: &mut Vec<String>,
) {
    for child in snapshot.children(&run).unwrap() {
        let child = child.unwrap();
        let current = child.current.as_ref().map(|info| name(info.id));
        lines.push(format!(
            "run {} child {} {}: {:?} {:?} {:?} reported {}, first {:?}, current {current:?}, held by {:?}",
            name(run),
            child.initiated_event_id,
            child.workflow_id,
            child.policy,
            child.state,
            child.outcome,
            child.reported,
            child.first_run.map(name),
            child.held_by.map(name),
        ));
    }
}

/// The first lines that differ.
pub(crate) fn compare(one: &[String], other: &[String]) -> Result<(), String> {
    let differing = one.iter().zip(other).find(|(a, b)| a != b);
    match differing {
        Some((a, b)) => Err(format!("{a}\n  but: {b}")),
        None if one.len() == other.len() => Ok(()),
        None => Err(format!("{} lines, but {}", one.len(), other.len())),
    }
}
