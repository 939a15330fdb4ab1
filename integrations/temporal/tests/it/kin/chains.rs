//! Chains are as was recorded, in whatever order their runs came.

use std::collections::{BTreeMap, HashMap};

use kinlog::{RunId, RunInfo};

use super::told::{Told, told};
use super::world::{World, open, shuffled, sum};

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
