//! Everything that a store can be asked.

use std::fmt::{self, Write as _};

use kinlog::{
    DutyFilter, DutyKind, Error, Position, Result, RunFilter, RunInfo, Snapshot, Store, Verdict,
};

/// What a store says, in short: the same store says the same.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) end: Position,
    /// Whether it proves itself right.
    pub(crate) sound: bool,
    /// Of everything that was read.
    pub(crate) sum: u32,
}

/// Gathers what is said, to be added up at once: adding up bit by bit takes most of the time.
#[derive(Default)]
struct Sum(String);

impl Sum {
    fn add(&mut self, value: &impl fmt::Debug) {
        write!(self.0, "{value:?}").expect("text can be added");
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(&crc32fast::hash(bytes));
    }
}

/// Reads one thing about a run.
type Part = fn(&Snapshot, &RunInfo, &mut Sum) -> Result<()>;

/// Asks a store everything. It may say that it is damaged; what it says else must make sense.
pub(crate) fn look(store: &Store) -> Said {
    let sound = sound(store.verify(|_| {}).map(|_| ()));
    let mut sum = Sum::default();
    let snapshot = store.snapshot();
    let runs: Vec<RunInfo> = snapshot.runs(RunFilter::all()).map(Result::unwrap).collect();
    for run in &runs {
        sum.add(run);
        // Of one whose outcome is kept nothing else is there to be looked at.
        if run.deleted.is_some() {
            continue;
        }
        let parts: [Part; 5] = [history, backwards, children, chain, tree];
        // Chains and trees are the same for every run in them, or nearly.
        for part in &parts[..if run.is_current { 5 } else { 3 }] {
            let read = self::sound(part(&snapshot, run, &mut sum));
            assert!(read || !sound, "a store that verifies reads: {run:?}");
        }
        sum.add(&store.open_activities(&run.id).expect("a listed run"));
        if sound {
            sizes(&snapshot, run).expect("it was read before");
        }
    }
    let report = store.report();
    let reset = runs.iter().any(|run| run.base.is_some());
    assert!(sound || reset, "what a reset shares is not read when a store is opened");
    let read = self::sound(rows(&snapshot, &mut sum));
    assert!(read || !sound, "a store that verifies reads: rows");
    for namespace in store.namespaces() {
        sum.add(&(snapshot.namespace_size(&namespace), store.limits(&namespace)));
    }
    duties(store, &mut sum);
    // The tail reads what opening has read, no more: it is never damaged.
    let events = tail(store).expect("what opened can be followed");
    let stats = store.stats().expect("the files are there");
    assert_eq!((stats.runs, stats.events), (runs.len() as u64, events));
    let torn = matches!(report.verdict, Verdict::Torn | Verdict::Ambiguous);
    assert!(torn || stats.accounted_bytes() == stats.file_bytes, "{stats:?}");
    Said { end: snapshot.end(), sound, sum: crc32fast::hash(sum.0.as_bytes()) }
}

/// Whether something could be read; the only reason why not is damage.
pub(crate) fn sound(outcome: Result<()>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(Error::Corrupt(_)) => false,
        Err(error) => panic!("reading failed otherwise than by damage: {error:?}"),
    }
}

fn history(snapshot: &Snapshot, run: &RunInfo, sum: &mut Sum) -> Result<()> {
    let history = snapshot.history(&run.id)?;
    let mut ids = vec![];
    for event in &history {
        let event = event?;
        sum.add(&event);
        sum.add_bytes(event.payload());
        ids.push(event.id());
    }
    assert!(ids.iter().copied().eq(1..=history.len()), "the events of {}", run.id);
    let middle = history.len().div_ceil(2);
    let size = history.size_at(middle)?;
    let event = history.event(middle)?.expect("an event of the history");
    assert_eq!(event.id(), middle);
    assert_eq!(history.from(middle).count(), ids.len() - middle as usize + 1);
    sum.add(&(size, history.started()?, history.status(), history.bytes()));
    Ok(())
}

fn backwards(snapshot: &Snapshot, run: &RunInfo, sum: &mut Sum) -> Result<()> {
    let history = snapshot.history(&run.id)?;
    let ids: Vec<u32> = history.rev().map(|event| Ok(event?.id())).collect::<Result<_>>()?;
    assert!(ids.iter().copied().eq((1..=history.len()).rev()), "{} backwards", run.id);
    sum.add(&ids.len());
    Ok(())
}

fn sizes(snapshot: &Snapshot, run: &RunInfo) -> Result<()> {
    let history = snapshot.history(&run.id)?;
    let mut bytes = 0;
    for event in &history {
        let event = event?;
        bytes += u64::from(event.size());
        if event.id() == history.len() || event.id() == history.len() / 2 {
            assert_eq!(history.size_at(event.id())?, bytes, "{} up to {}", run.id, event.id());
        }
    }
    assert_eq!((history.bytes(), run.bytes), (bytes, bytes), "the size of {}", run.id);
    Ok(())
}

fn chain(snapshot: &Snapshot, run: &RunInfo, sum: &mut Sum) -> Result<()> {
    let chain = snapshot.chain(&run.id)?;
    assert_eq!(chain.runs().count(), chain.len());
    assert!(
        chain.runs().map(Result::unwrap).any(|other| other.id == run.id),
        "{} is in its chain",
        run.id
    );
    for link in chain.links() {
        sum.add(&link?);
    }
    sum.add(&(
        chain.first_run_id(),
        chain.current(),
        chain.size().unwrap(),
        chain.next_not_here()?,
    ));
    if chain.runs().map(Result::unwrap).any(|other| other.deleted.is_some()) {
        return Ok(());
    }
    let events: Vec<_> = chain.events().collect::<Result<_>>()?;
    assert_eq!(chain.size().unwrap().events, events.len() as u64);
    Ok(())
}

fn children(snapshot: &Snapshot, run: &RunInfo, sum: &mut Sum) -> Result<()> {
    let mut open = 0;
    for child in snapshot.children(&run.id)? {
        let child = child?;
        open += usize::from(child.state.is_open());
        sum.add(&child);
    }
    assert_eq!(snapshot.children(&run.id)?.open().count(), open);
    sum.add(&(snapshot.parent(&run.id)?, snapshot.root(&run.id)?));
    Ok(())
}

fn tree(snapshot: &Snapshot, run: &RunInfo, sum: &mut Sum) -> Result<()> {
    let mut runs = 0;
    for node in snapshot.tree(&run.id)? {
        let node = node?;
        runs += node.runs;
        sum.add(&(node.depth, node.runs, node.children, node.is_last));
    }
    let size = snapshot.tree_size(&run.id)?;
    assert_eq!(size.runs, runs, "the tree of {}", run.id);
    sum.add(&(size, snapshot.chain_size(&run.id)?));
    Ok(())
}

fn rows(snapshot: &Snapshot, sum: &mut Sum) -> Result<()> {
    for table in snapshot.tables() {
        sum.add(&table);
        for row in snapshot.rows(&table, ..) {
            let row = row?;
            sum.add(&row.key);
            sum.add_bytes(row.value);
            assert_eq!(snapshot.get(&table, row.key)?, Some(row.value));
        }
    }
    Ok(())
}

fn duties(store: &Store, sum: &mut Sum) {
    for kind in DutyKind::ALL {
        let duties: Vec<_> =
            store.duties(DutyFilter::all().kind(kind)).map(Result::unwrap).collect();
        assert_eq!(duties.len() as u64, store.duty_count(kind), "{kind:?}");
        sum.add(&duties);
    }
}

/// Follows the log from its beginning; how many events there are.
fn tail(store: &Store) -> Result<u64> {
    let mut tail = store.tail(Position::START);
    let mut events = 0;
    while let Some(commit) = tail.try_next()? {
        for batch in commit.batches().map(Result::unwrap) {
            for event in batch.events() {
                event?;
                events += 1;
            }
        }
        assert!(commit.rows().all(|row| !row.table.is_empty()));
    }
    assert!(tail.position() <= store.end());
    Ok(events)
}
