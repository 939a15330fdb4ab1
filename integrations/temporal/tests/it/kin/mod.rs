//! The recorded histories in one store: chains, children, parents and trees are as was recorded.
//!
//! What to expect is taken from the manifest, and from the histories as JSON, read by name.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use common::Recorded;
use kinlog::{
    ChildState, Durability, DutyKind, Options, ParentClosePolicy, RunFilter, RunId, RunInfo,
    RunStatus, Size, Store,
};
use kinlog_temporal::{History, ImportOptions, import};
use kinlog_testing::Rng;
use serde_json::{Value, json};

/// A recorded history and what it says of its kin.
struct Told {
    file: String,
    history: History,
    /// Its run, and the runs it goes back and on to, as in the manifest.
    run: Option<RunId>,
    first: Option<RunId>,
    before: Option<RunId>,
    next: Option<RunId>,
    parent: Option<RunId>,
    children: Vec<ToldChild>,
}

/// A child, as its parent's history tells it.
#[derive(Debug, Clone)]
struct ToldChild {
    initiated: u32,
    workflow_id: String,
    workflow_type: String,
    policy: ParentClosePolicy,
    first_run: Option<RunId>,
    failed: bool,
    outcome: Option<RunStatus>,
}

/// No id for what is not said, nor for what somebody put in its place by hand.
fn id(text: &str) -> Option<RunId> {
    text.parse().ok()
}

/// All Temporal histories, or none if the folder is missing.
fn told() -> Option<Vec<Told>> {
    let recorded = common::recorded()?;
    let temporal = recorded.iter().filter_map(|it| Some((it, it.canonical.as_ref()?)));
    Some(temporal.map(|(it, proto)| tell(it, proto)).collect())
}

fn tell(it: &Recorded, proto: &[u8]) -> Told {
    let history = History::from_proto(proto).expect("a canonical history");
    let run = id(&it.run_id);
    Told {
        file: it.file.clone(),
        run,
        // Those that do not say are the first.
        first: id(&it.first_run_id).or(run),
        before: id(&it.prev_run_id),
        next: id(&it.next_run_id),
        parent: id(&it.parent_run_id),
        children: children(&history),
        history,
    }
}

fn number(value: &Value) -> u32 {
    value.as_str().and_then(|text| text.parse().ok()).expect("an event id")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The children of a history: its Initiated events, and what later ones say about each.
fn children(history: &History) -> Vec<ToldChild> {
    let json: Value =
        serde_json::from_str(&history.to_json().expect("as JSON")).expect("it is JSON");
    let mut children: BTreeMap<u32, ToldChild> = BTreeMap::new();
    for event in json["events"].as_array().expect("events") {
        let kind = event["eventType"].as_str().unwrap_or_default();
        let outcome = match kind {
            "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED" => {
                let it = &event["startChildWorkflowExecutionInitiatedEventAttributes"];
                let policy = match it["parentClosePolicy"].as_str() {
                    Some("PARENT_CLOSE_POLICY_TERMINATE") => ParentClosePolicy::Terminate,
                    Some("PARENT_CLOSE_POLICY_ABANDON") => ParentClosePolicy::Abandon,
                    Some("PARENT_CLOSE_POLICY_REQUEST_CANCEL") => ParentClosePolicy::RequestCancel,
                    None => ParentClosePolicy::Unspecified,
                    other => panic!("{other:?}"),
                };
                let child = ToldChild {
                    initiated: number(&event["eventId"]),
                    workflow_id: text(&it["workflowId"]),
                    workflow_type: text(&it["workflowType"]["name"]),
                    policy,
                    first_run: None,
                    failed: false,
                    outcome: None,
                };
                children.insert(child.initiated, child);
                continue;
            }
            "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED" => {
                let it = &event["startChildWorkflowExecutionFailedEventAttributes"];
                children.get_mut(&number(&it["initiatedEventId"])).expect("initiated").failed =
                    true;
                continue;
            }
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED" => {
                let it = &event["childWorkflowExecutionStartedEventAttributes"];
                let child = children.get_mut(&number(&it["initiatedEventId"])).expect("initiated");
                child.first_run = id(it["workflowExecution"]["runId"].as_str().expect("a run"));
                continue;
            }
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED" => ("Completed", RunStatus::Completed),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED" => ("Failed", RunStatus::Failed),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED" => ("Canceled", RunStatus::Canceled),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT" => ("TimedOut", RunStatus::TimedOut),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED" => {
                ("Terminated", RunStatus::Terminated)
            }
            _ => continue,
        };
        let it = &event[format!("childWorkflowExecution{}EventAttributes", outcome.0)];
        let child = children.get_mut(&number(&it["initiatedEventId"])).expect("initiated");
        assert!(child.outcome.replace(outcome.1).is_none(), "one outcome");
    }
    children.into_values().collect()
}

/// A store, and which run of it holds each history that was imported.
struct World<'t> {
    store: Store,
    imported: Vec<(RunId, &'t Told)>,
    /// The runs that have the id that was recorded; others share it with one of these.
    here: HashSet<RunId>,
    /// By run: of files with the same events, the longest.
    told: HashMap<RunId, &'t Told>,
}

impl<'t> World<'t> {
    fn new(directory: &Path, told: impl Iterator<Item = &'t Told>) -> Self {
        let store = open(directory);
        let options = ImportOptions { namespace: "default", durability: Durability::Buffered };
        let mut imported = vec![];
        let mut here = HashSet::new();
        let mut by_run: HashMap<RunId, &Told> = HashMap::new();
        for it in told {
            let done = import(&store, &it.history, &options).expect("an import");
            imported.push((done.run_id, it));
            let longest = by_run.entry(done.run_id).or_insert(it);
            if longest.history.events().len() < it.history.events().len() {
                *longest = it;
            }
            if !done.under_other_id {
                assert!(it.run.is_none_or(|run| run == done.run_id), "{}", it.file);
                here.insert(done.run_id);
            }
        }
        World { store, imported, here, told: by_run }
    }

    /// The runs of each chain of which something is here, without those under another id, in the
    /// order of `orders`; and how many there are under another id.
    fn chains(&self, orders: &HashMap<RunId, Vec<RunId>>) -> BTreeMap<RunId, (Vec<RunId>, usize)> {
        let mut chains: BTreeMap<RunId, (BTreeSet<RunId>, BTreeSet<RunId>)> = BTreeMap::new();
        for (run, it) in &self.imported {
            let (own, others) = chains.entry(it.first.unwrap_or(*run)).or_default();
            let set = if self.here.contains(run) { own } else { others };
            set.insert(*run);
        }
        let in_order = |(first, (own, others)): (RunId, (BTreeSet<RunId>, BTreeSet<RunId>))| {
            let order =
                orders.get(&first).cloned().unwrap_or_else(|| own.iter().copied().collect());
            let runs = order.into_iter().filter(|run| own.contains(run)).collect();
            (first, (runs, others.len()))
        };
        chains.into_iter().map(in_order).collect()
    }

    /// The run itself and all that name one of these as their parent, or follow one that does.
    fn below(&self, root: RunId) -> BTreeSet<RunId> {
        let mut below = BTreeSet::from([root]);
        let mut left = vec![root];
        while let Some(parent) = left.pop() {
            let told = self.told[&parent].children.iter();
            let firsts: HashSet<_> = told.filter_map(|child| child.first_run).collect();
            let is_child = |it: &Told| {
                it.parent == Some(parent) && it.first.is_some_and(|first| firsts.contains(&first))
            };
            let children = self.told.iter().filter(|(_, it)| is_child(it)).map(|(run, _)| *run);
            left.extend(children.filter(|run| below.insert(*run)));
        }
        below
    }
}

fn open(directory: &Path) -> Store {
    Options::new().segment_bytes(64 << 20).open(directory).expect("a store")
}

/// The runs of each recorded chain from first to last: each follows the one it continues.
fn orders(told: &[Told]) -> HashMap<RunId, Vec<RunId>> {
    let mut chains: HashMap<RunId, BTreeMap<RunId, Option<RunId>>> = HashMap::new();
    for it in told {
        if let (Some(first), Some(run)) = (it.first, it.run) {
            chains.entry(first).or_default().insert(run, it.before);
        }
    }
    let in_order = |(first, runs): (RunId, BTreeMap<RunId, Option<RunId>>)| {
        let is_head =
            |before: &Option<RunId>| before.is_none_or(|before| !runs.contains_key(&before));
        let heads: Vec<_> = runs.iter().filter(|(_, before)| is_head(before)).collect();
        let mut order = vec![];
        for (head, _) in heads {
            let mut next = Some(head);
            while let Some(run) = next {
                order.push(*run);
                next = runs.iter().find(|(_, before)| **before == Some(*run)).map(|(next, _)| next);
            }
        }
        assert_eq!(order.len(), runs.len());
        (first, order)
    };
    chains.into_iter().map(in_order).collect()
}

/// Things in another order, the same for the same seed.
fn shuffled<T>(mut things: Vec<T>, seed: u64) -> Vec<T> {
    Rng::new(seed).shuffle(&mut things);
    things
}

#[test]
fn chains_come_out_as_recorded_in_whatever_order_and_with_whatever_gaps_they_came() {
    let Some(told) = told() else { return };
    let orders = orders(&told);
    // All, in the order of the manifest; all, shuffled; a part of them, shuffled: with gaps.
    for (seed, part) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)] {
        let mut some: Vec<&Told> = told.iter().collect();
        if seed > 0 {
            some = shuffled(some, seed);
        }
        some.truncate(told.len() / part);
        let directory = tempfile::tempdir().expect("a directory");
        let mut world = World::new(directory.path(), some.into_iter());
        let counts = check_chains(&world, &orders);
        println!("seed {seed}: {counts:?}");
        if part == 1 {
            assert!(counts.chains >= 35 && counts.longest == 24, "{counts:?}");
        } else {
            assert!(counts.gaps > 0 && counts.next_not_here > 0, "{counts:?}");
        }
        world.store.shut_down().expect("in order");
        world.store = open(directory.path());
        assert_eq!(check_chains(&world, &orders), counts);
    }
}

#[derive(Default, Debug, PartialEq)]
struct Chains {
    /// Of more than one run.
    chains: usize,
    longest: usize,
    runs: usize,
    /// Runs that continue one that is not here.
    gaps: usize,
    next_not_here: usize,
    under_other_id: usize,
}

/// Asks each run for its chain.
fn check_chains(world: &World<'_>, orders: &HashMap<RunId, Vec<RunId>>) -> Chains {
    let World { store, imported, here, .. } = world;
    let chains = world.chains(orders);
    let mut counts = Chains::default();
    for (first, (expected, others)) in &chains {
        counts.chains += usize::from(expected.len() > 1);
        counts.longest = counts.longest.max(expected.len());
        counts.runs += expected.len();
        counts.under_other_id += others;
        let asked = expected.first().expect("a run");
        let chain = store.chain(asked).expect("a chain");
        assert_eq!(chain.len(), expected.len() + others, "{first}");
        for link in chain.links() {
            let link = link.expect("a link");
            let is_here = link.before.is_some_and(|before| here.contains(&before));
            assert_eq!(link.before_is_here, is_here, "{first}: {link:?}");
            counts.gaps += usize::from(link.before.is_some() && !is_here);
        }
        counts.next_not_here += usize::from(chain.next_not_here().expect("a last event").is_some());
    }
    for (run, it) in imported {
        let first = it.first.unwrap_or(*run);
        let (expected, others) = &chains[&first];
        let chain = store.chain(run).expect("a chain");
        let runs: Vec<RunInfo> = chain.runs().collect::<Result<_, _>>().expect("runs");
        let own = runs.iter().map(|run| run.id).filter(|run| here.contains(run));
        assert!(own.eq(expected.iter().copied()), "{}: {runs:?}", it.file);
        assert_eq!(runs.len(), expected.len() + others, "{}: {runs:?}", it.file);
        assert!(runs.iter().any(|of_chain| of_chain.id == *run), "{}", it.file);
        assert_eq!((chain.first_run_id(), chain.first_is_here()), (first, here.contains(&first)));
        assert_eq!(Some(chain.current()), runs.last());
        let links = chain.links().map(|link| link.expect("a link"));
        let link = links.filter(|link| link.run.id == *run).map(|link| link.before);
        assert!(link.eq([it.before]), "{}", it.file);
        if chain.current().id == *run {
            let next = it.next.filter(|next| !here.contains(next));
            assert_eq!(chain.next_not_here().expect("a last event"), next, "{}", it.file);
        }
        assert_eq!(chain.size().expect("a size"), sum(&runs), "{}", it.file);
    }
    counts
}

fn sum<'r>(runs: impl IntoIterator<Item = &'r RunInfo>) -> Size {
    let mut size = Size::default();
    for run in runs {
        size.runs += 1;
        size.events += u64::from(run.events);
        size.bytes += run.bytes;
    }
    size
}

#[test]
fn children_and_parents_are_as_recorded_and_raise_no_duty() {
    let Some(told) = told() else { return };
    for seed in 0..2 {
        let some = shuffled(told.iter().collect(), seed);
        let counts = check_world(some);
        println!("seed {seed}: {counts:?}");
        assert_eq!((counts.fan_outs, counts.children, counts.widest), (32, 897, 500));
        // The recorded children were kept by hardly anybody.
        assert_eq!((counts.children_here, counts.parents, counts.parents_here), (1, 9, 1));
    }
}

/// As nearly no child's history was recorded beside its parent's, they are made here: one run or
/// two, as their parents tell.
#[test]
fn children_that_are_here_are_linked_both_ways() {
    let Some(told) = told() else { return };
    let made = made_children(&told);
    for seed in 0..2 {
        let counts = check_world(shuffled(told.iter().chain(&made).collect(), seed));
        println!("seed {seed}: {} histories made, {counts:?}", made.len());
        assert_eq!(counts.children_here, counts.children);
        assert_eq!(counts.parents_here, made.len() + 1);
    }
}

/// Checks all children, parents, trees and duties of the histories, imported in this order.
fn check_world(told: Vec<&Told>) -> Kin {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path(), told.into_iter());
    let counts = check_kin(&world);
    for kind in DutyKind::ALL {
        assert_eq!(world.store.duty_count(kind), 0, "{kind}");
    }
    assert_eq!(world.store.settle_all().expect("nothing to do").duties, 0);
    check_trees(&world);
    world.store.verify(|_| {}).expect("a sound store");
    counts
}

/// A history for each child that has none; every third child continued as new.
fn made_children(told: &[Told]) -> Vec<Told> {
    let mut here: HashSet<_> = told.iter().filter_map(|it| it.first).collect();
    let mut made = vec![];
    for parent in told.iter().filter(|it| it.run.is_some()) {
        for (child, place) in parent.children.iter().zip(0..) {
            let Some(first) = child.first_run.filter(|first| here.insert(*first)) else { continue };
            let second = (place % 3 == 0).then(|| {
                let mut id = *first.as_bytes();
                id[0] ^= 0xff;
                RunId::from_bytes(id)
            });
            made.push(made_run(parent, child, first, None, second));
            made.extend(second.map(|second| made_run(parent, child, second, Some(first), None)));
        }
    }
    made
}

fn made_run(
    parent: &Told,
    child: &ToldChild,
    run: RunId,
    before: Option<RunId>,
    next: Option<RunId>,
) -> Told {
    let first = child.first_run.expect("a child that was started");
    let say = |id: Option<RunId>| id.map(|id| id.to_string()).unwrap_or_default();
    let started = json!({
        "workflowId": child.workflow_id,
        "workflowType": {"name": child.workflow_type},
        "originalExecutionRunId": run.to_string(),
        "firstExecutionRunId": first.to_string(),
        "continuedExecutionRunId": say(before),
        "parentWorkflowExecution": {"workflowId": "parent", "runId": say(parent.run)},
        "parentInitiatedEventId": child.initiated.to_string(),
    });
    let (kind, key) = match next {
        Some(_) => ("ContinuedAsNew", "workflowExecutionContinuedAsNewEventAttributes"),
        None => ("Completed", "workflowExecutionCompletedEventAttributes"),
    };
    let events = json!([
        {"eventId": "1", "eventType": "WorkflowExecutionStarted",
            "workflowExecutionStartedEventAttributes": started},
        {"eventId": "2", "eventType": format!("WorkflowExecution{kind}"),
            key: {"newExecutionRunId": say(next)}},
    ]);
    Told {
        file: format!("a child of {}", parent.file),
        history: History::from_json(&events.to_string()).expect("a history"),
        run: Some(run),
        first: Some(first),
        before,
        next,
        parent: parent.run,
        children: vec![],
    }
}

#[derive(Default, Debug, PartialEq)]
struct Kin {
    fan_outs: usize,
    widest: usize,
    children: usize,
    children_here: usize,
    without_outcome: usize,
    parents: usize,
    parents_here: usize,
}

fn check_kin(world: &World<'_>) -> Kin {
    let World { store, imported, here, .. } = world;
    let mut chains: HashMap<RunId, Vec<(RunId, &Told)>> = HashMap::new();
    for (run, it) in imported {
        chains.entry(it.first.unwrap_or(*run)).or_default().push((*run, it));
    }
    let mut counts = Kin::default();
    let mut seen = HashSet::new();
    for (run, it) in imported.iter().filter(|(run, _)| seen.insert(*run)) {
        counts.fan_outs += usize::from(!it.children.is_empty());
        counts.widest = counts.widest.max(it.children.len());
        counts.children += it.children.len();
        let found: Vec<_> = store.children(run).expect("a run").map(|c| c.expect("one")).collect();
        assert_eq!(found.len(), it.children.len(), "{}", it.file);
        let open = store.run(run).expect("a run").status.is_open();
        for (child, told) in found.iter().zip(&it.children) {
            let what = format!("{}: {told:?}", it.file);
            assert_eq!(child.initiated_event_id, told.initiated, "{what}");
            assert_eq!(*child.workflow_id, *told.workflow_id, "{what}");
            assert_eq!(*child.workflow_type, *told.workflow_type, "{what}");
            assert_eq!((child.policy, child.first_run), (told.policy, told.first_run), "{what}");
            let its = told.first_run.and_then(|first| chains.get(&first));
            let its = its.map(Vec::as_slice).unwrap_or_default();
            assert_eq!(child.is_here, !its.is_empty(), "{what}");
            let last = its.iter().find(|(_, it)| it.next.is_none()).map(|(last, _)| *last);
            assert_eq!(child.current.as_ref().map(|run| run.id), last, "{what}");
            let ended = last.map(|last| store.run(&last).expect("a run").status);
            let outcome = told.outcome.or(ended.filter(|status| !status.is_open()));
            assert_eq!(
                (child.outcome, child.reported),
                (outcome, told.outcome.is_some()),
                "{what}"
            );
            let state = match (told.failed, told.first_run.is_some(), outcome) {
                (true, ..) => ChildState::StartFailed,
                (_, _, Some(_)) => ChildState::Closed,
                (_, true, None) => ChildState::Running,
                (_, false, None) if open => ChildState::Initiated,
                (_, false, None) => ChildState::NeverStarted,
            };
            assert_eq!(child.state, state, "{what}");
            counts.children_here += usize::from(child.is_here);
            counts.without_outcome += usize::from(told.outcome.is_none());
            // Both ways: a child that is here names its parent.
            for (child_run, child_told) in its {
                let parent = store.parent(child_run).expect("a run").expect("a parent");
                assert_eq!(child_told.parent, Some(parent.run), "{what}");
                let elsewhere = (parent.run != *run).then_some(parent.run);
                assert_eq!(child.held_by, elsewhere, "{what}");
            }
        }
        let parent = store.parent(run).expect("a run");
        assert_eq!(parent.as_ref().map(|parent| parent.run), it.parent, "{}", it.file);
        let Some(parent) = parent else { continue };
        assert_eq!(parent.is_here, here.contains(&parent.run), "{}", it.file);
        counts.parents += 1;
        counts.parents_here += usize::from(parent.is_here);
    }
    counts
}

/// Every tree ends, has no run twice, and adds up to the runs that stand in it.
fn check_trees(world: &World<'_>) {
    let store = &world.store;
    let (mut trees, mut nodes, mut deepest) = (0, 0, 0);
    for run in store.snapshot().runs(RunFilter::all()).map(|run| run.expect("a run")) {
        let mut met: BTreeMap<RunId, RunInfo> = BTreeMap::new();
        let mut count = 0;
        for node in store.tree(&run.id).expect("a tree") {
            let node = node.expect("a node");
            deepest = deepest.max(node.depth);
            nodes += 1;
            count += node.runs;
            let Some(current) = node.run else { continue };
            let stands: Vec<RunInfo> = match node.depth {
                0 => vec![current],
                _ => store
                    .chain(&current.id)
                    .expect("a chain")
                    .runs()
                    .collect::<Result<_, _>>()
                    .expect("runs"),
            };
            for run in stands {
                assert!(met.insert(run.id, run).is_none(), "a run stands twice");
            }
        }
        trees += 1;
        assert_eq!(count, met.len() as u64);
        assert_eq!(store.tree_size(&run.id).expect("a size"), sum(met.values()), "{run:?}");
        let below = world.below(run.id);
        assert!(met.keys().eq(&below), "{}: {met:?}", run.id);
    }
    println!("{trees} trees, {nodes} nodes, {deepest} deep");
}

/// A file whose run id stands for other events is kept under an id made for it, in the same chain.
#[test]
fn a_history_under_another_id_stands_in_the_chain_beside_the_one_it_differs_from() {
    let Some(told) = told() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path(), told.iter());
    let store = &world.store;
    let mut count = 0;
    for (run, it) in world.imported.iter().filter(|(run, _)| !world.here.contains(run)) {
        let own = it.run.expect("a run id");
        let chain = store.chain(run).expect("a chain");
        let runs: Vec<_> = chain.runs().map(Result::unwrap).map(|run| run.id).collect();
        let at = |run: &RunId| runs.iter().position(|of_chain| of_chain == run);
        assert!(at(&own) < at(run), "{}: {runs:?}", it.file);
        // Nobody says to continue an id that was made.
        let mut links = chain.links().map(|link| link.expect("a link"));
        assert!(links.all(|link| link.before != Some(*run)));
        println!("{}: {} of {} runs of its chain", it.file, at(run).unwrap_or(0) + 1, runs.len());
        count += 1;
    }
    assert_eq!(count, 12);
}
