//! Whether two commits say the same, but for ids drawn and times.

use kinlog::read::RowChange;
use kinlog::{Body, CommitView, Event, Position, RunId, Store};

use crate::names::Drawn;

/// The commit at a position.
pub(crate) fn commit_at(store: &Store, position: Position) -> CommitView {
    store.tail(position).try_next().unwrap().unwrap()
}

/// Compares a commit with what the same steps wrote when they were alone, and learns the runs that
/// begin in it.
pub(crate) fn compare(
    contested: &CommitView,
    alone: &CommitView,
    drawn: &mut Drawn,
) -> Result<(), String> {
    let pairs: Vec<_> =
        contested.batches().map(Result::unwrap).zip(alone.batches().map(Result::unwrap)).collect();
    let counts = (contested.batches().count(), alone.batches().count());
    if counts.0 != counts.1 {
        return Err(format!("{} runs got events, alone {}", counts.0, counts.1));
    }
    for (one, other) in &pairs {
        let (run, there) = (one.run(), other.run());
        if drawn.back(there) == run {
            continue;
        }
        let begins = one.events().next().is_some_and(|event| begins(&event.unwrap()));
        if !begins || drawn.is_known(run) {
            return Err(format!("run {run} got events, alone run {}", drawn.back(there)));
        }
        drawn.learn(run, there);
    }
    for (one, other) in &pairs {
        let events = (one.events().count(), other.events().count());
        for (a, b) in one.events().zip(other.events()) {
            same(&a.unwrap(), &b.unwrap(), drawn)
                .map_err(|why| format!("run {}: {why}", one.run()))?;
        }
        if events.0 != events.1 {
            return Err(format!("run {} got {} events, alone {}", one.run(), events.0, events.1));
        }
    }
    let same = rows(contested, |run| run) == rows(alone, |run| drawn.back(run));
    if same { Ok(()) } else { Err("other rows".into()) }
}

/// A change of a row: table, key and value.
type Change<'c> = (&'c str, Vec<u8>, Option<&'c [u8]>);

/// The rows of a commit, with these names for the runs that it deletes.
fn rows(commit: &CommitView, name: impl Fn(RunId) -> RunId) -> Vec<Change<'_>> {
    let key = |row: &RowChange<'_>| match row.table {
        "kinlog.deleted" => {
            name(RunId::from_bytes(row.key.try_into().unwrap())).as_bytes().to_vec()
        }
        _ => row.key.to_vec(),
    };
    commit.rows().map(|row| (row.table, key(&row), row.value)).collect()
}

fn begins(event: &Event<'_>) -> bool {
    matches!(event.body(), Body::WorkflowExecutionStarted(_) | Body::WorkflowReset(_))
}

fn same(event: &Event<'_>, alone: &Event<'_>, drawn: &Drawn) -> Result<(), String> {
    let same = event.id() == alone.id()
        && event.payload() == alone.payload()
        && (event.body() == alone.body()
            || format!("{:?}", event.body()) == drawn.told(&format!("{:?}", alone.body())));
    if same {
        return Ok(());
    }
    let alone = drawn.told(&format!("{} {:?}", alone.id(), alone.body()));
    Err(format!("event {} {:?}\n  alone: event {alone}", event.id(), event.body()))
}
