//! Everything that a store says about what it holds, in lines that can be compared.

use kinlog::{
    CommitView, DutyFilter, DutyKind, Error, Position, Result, RunFilter, Snapshot, Store,
};

use crate::world::{COMMITS, TIMERS};

/// What a log tells of commits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// All of one, in a line, and where it begins.
    Commit(Position, String),
    /// Nothing of those before a position: they were compacted.
    NothingBefore(Position),
}

impl Told {
    /// A commit of which all is told.
    #[must_use]
    pub fn whole(self) -> Option<(Position, String)> {
        match self {
            Told::Commit(position, line) => Some((position, line)),
            Told::NothingBefore(_) => None,
        }
    }
}

/// What happened, one line for each commit. Times are left out: clocks jump.
///
/// # Errors
/// What the store says.
pub fn commits(store: &Store) -> Result<Vec<Told>> {
    let mut tail = store.tail(Position::START);
    let mut told = vec![];
    loop {
        match tail.try_next() {
            Ok(Some(commit)) => told.push(Told::Commit(commit.position(), line(&commit)?)),
            Ok(None) => return Ok(told),
            Err(Error::Compacted { resume, .. }) => {
                told.push(Told::NothingBefore(resume));
                tail = store.tail(resume);
            }
            Err(error) => return Err(error),
        }
    }
}

/// How many commits of a world a store has: each has a row.
///
/// # Errors
/// What the store says.
pub(crate) fn count(store: &Store) -> Result<usize> {
    let snapshot = store.snapshot();
    let mut count = 0;
    for row in snapshot.rows(COMMITS, ..) {
        row?;
        count += 1;
    }
    Ok(count)
}

fn line(commit: &CommitView) -> Result<String> {
    let mut line = String::new();
    for batch in commit.batches() {
        let batch = batch?;
        line += &format!(" {}", batch.run());
        for event in batch.events() {
            let event = event?;
            line += &format!(" {} {:?} {}", event.id(), event.body(), sum(event.payload()));
        }
    }
    for row in commit.rows() {
        line += &format!(" {} {:?} {:?}", row.table, row.key, row.value.map(sum));
    }
    Ok(line)
}

fn sum(bytes: &[u8]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    bytes.iter().for_each(|byte| hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("{}:{hash:x}", bytes.len())
}

/// The store's own table of what was erased of chains of children.
const ERASED_SIZES: &str = "kinlog.erased_sizes";

/// What follows from it: runs, chains, relations, duties, sizes, rows.
///
/// # Errors
/// What the store says.
pub fn state(store: &Store) -> Result<Vec<String>> {
    let snapshot = store.snapshot();
    let mut lines = vec![];
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        lines.push(format!("{run:?}"));
        let chain = snapshot.chain(&run.id)?;
        let runs = chain.runs().map(|run| Ok(run?.id.to_string())).collect::<Result<Vec<_>>>()?;
        lines.push(format!("  chain {} {:?}", runs.join(" "), chain.size()?));
        let (parent, root) = (snapshot.parent(&run.id)?, snapshot.root(&run.id)?);
        lines.push(format!("  parent {parent:?} root {root:?}"));
        if let Some(closing) = snapshot.closing_event(&run.id)? {
            lines.push(format!("  closed by {:?} {}", closing.body(), sum(closing.payload())));
        }
        if run.deleted.is_none() {
            of_history(store, &snapshot, &run.id, &mut lines)?;
        }
    }
    for duty in store.duties(DutyFilter::all()) {
        let duty = duty?;
        let (kind, run, event) = (duty.kind(), duty.run(), duty.initiated_event_id());
        lines.push(format!("duty {kind} of {run} {event} since {}", duty.since()));
    }
    for kind in DutyKind::ALL {
        lines.push(format!("{kind}: {}", store.duty_count(kind)));
    }
    for namespace in store.namespaces() {
        let (size, limits) = (snapshot.namespace_size(&namespace), store.limits(&namespace));
        lines.push(format!("namespace {namespace} {size:?} {limits:?}"));
    }
    for table in [COMMITS, TIMERS, ERASED_SIZES] {
        for row in snapshot.rows(table, ..) {
            let row = row?;
            lines.push(format!("{table} {:?} {}", row.key, sum(row.value)));
        }
    }
    let stats = store.stats()?;
    let unaccounted = stats.file_bytes.abs_diff(stats.accounted_bytes());
    // A compaction changes none of these sums.
    let bytes = stats.event_bytes + stats.frame_bytes + stats.row_bytes + stats.dropped_bytes;
    let (commits, events) = (stats.commits, stats.events);
    lines.push(format!("{commits} commits, {events} events, ever: {bytes} bytes"));
    let (gone, histories) = (stats.deleted_runs, stats.deleted_histories);
    lines.push(format!("{} runs, {gone} deleted, histories {histories:?}", stats.runs));
    lines.push(format!("bytes not accounted for: {unaccounted}"));
    Ok(lines)
}

/// The events of all histories.
///
/// # Errors
/// What the store says.
pub(crate) fn histories(store: &Store) -> Result<Vec<String>> {
    let snapshot = store.snapshot();
    let mut lines = vec![];
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        if run.deleted.is_some() {
            continue;
        }
        let mut line = run.id.to_string();
        for event in &snapshot.history(&run.id)? {
            let event = event?;
            line += &format!(" {} {:?} {}", event.id(), event.body(), sum(event.payload()));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn of_history(
    store: &Store,
    snapshot: &Snapshot,
    run: &kinlog::RunId,
    lines: &mut Vec<String>,
) -> Result<()> {
    for child in snapshot.children(run)? {
        lines.push(format!("  child {:?}", child?));
    }
    let (size, activities) = (snapshot.tree_size(run)?, store.open_activities(run)?);
    lines.push(format!("  tree {size:?} activities {activities:?}"));
    // What the run says of itself must be what its events say.
    let history = snapshot.history(run)?;
    let (mut count, mut bytes) = (0, 0);
    for event in &history {
        count += 1;
        bytes += u64::from(event?.size());
    }
    lines.push(format!(
        "  {count} of {} events, {bytes} of {} bytes",
        history.len(),
        history.bytes()
    ));
    Ok(())
}
