//! Relations and duties: what the reader in Python derives from the log, and what the store says.

use kinlog::ParentClosePolicy::{Abandon, RequestCancel, Terminate};
use kinlog::event::StartChildFailedCause;
use kinlog::retention::{Compaction, Keep};
use kinlog::{
    ChildState, Close, Durability, DutyFilter, DutyKind, NewChild, NewReset, NewRun, NextRun,
    ParentClosePolicy, Result, RunFilter, RunId, RunStatus, Store, Target, Transaction,
};
use kinlog_testing::Rng;
use kinlog_testing::files::{directory, small_segments};
use kinlog_testing::steps::marker;

use super::{json, read, same, samples};

const POLICIES: [ParentClosePolicy; 3] = [Terminate, Abandon, RequestCancel];
const WORKFLOWS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A tree that grows at random. A step that the store refuses changes nothing.
struct Growing<'s> {
    store: &'s Store,
    random: Rng,
}

impl Growing<'_> {
    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    /// A step of one to three changes in a transaction.
    fn step(&mut self) -> Result<()> {
        match self.random.below(24) {
            0 => return self.settle(),
            1 | 2 => return self.delete(),
            _ => {}
        }
        let store = self.store;
        let mut tx = store.begin();
        let runs: Vec<_> = store.snapshot().runs(RunFilter::all()).map(Result::unwrap).collect();
        let closed_too = self.random.below(4) == 0;
        let runs = runs.iter().filter(|run| closed_too || run.status == RunStatus::Running);
        let runs: Vec<RunId> = runs.map(|run| run.id).collect();
        for _ in 0..=self.random.below(3) {
            if runs.is_empty() || self.random.below(9) == 0 {
                drop(tx.start(NewRun::new("ns", self.any(&WORKFLOWS), "T")));
                continue;
            }
            let run = self.any(&runs);
            // What is refused is not part of the commit.
            drop(self.change(&mut tx, &run));
        }
        tx.commit_with(Durability::Buffered).map(drop)
    }

    fn change(&mut self, tx: &mut Transaction<'_>, run: &RunId) -> Result<()> {
        let (workflow, policy) = (self.any(&WORKFLOWS), self.any(&POLICIES));
        let child = NewChild::new(workflow, "T").on_parent_close(policy);
        let to_start = |store: &Store| {
            let children =
                store.children(run).into_iter().flatten().map(std::result::Result::unwrap);
            let mut waiting = children.filter(|child| child.state == ChildState::Initiated);
            waiting.next().map_or(1, |child| child.initiated_event_id)
        };
        match self.random.below(19) {
            0..=3 => tx.spawn_child(run, child).map(drop),
            4 | 5 => tx.initiate_child(run, child).map(drop),
            6 => tx.start_child(run, to_start(self.store), None).map(drop),
            7 => {
                let cause = StartChildFailedCause::WorkflowAlreadyExists;
                tx.fail_child(run, to_start(self.store), cause).map(drop)
            }
            8 => tx.signal_external(run, Target::workflow(workflow), "s", b"").map(drop),
            9 => tx.cancel_external(run, Target::workflow(workflow)).map(drop),
            10 => tx.request_cancel(run, b"").map(drop),
            11 | 16..=18 => {
                let closes = [Close::completed(b""), Close::failed(b""), Close::canceled(b"")];
                tx.close_run(run, self.any(&closes)).map(drop)
            }
            12 => tx.continue_as_new(run, NextRun::new("T")).map(drop),
            13 | 14 => {
                let last = self.store.history(run)?.len();
                let to = 1 + self.random.below(last as usize) as u32;
                let again = tx.reset(run, NewReset::to(to))?;
                match self.random.below(3) {
                    0 => tx.spawn_child(&again, child).map(drop),
                    _ => Ok(()),
                }
            }
            _ => tx.append(run, marker(b"")).map(drop),
        }
    }

    /// Deletes some of what can be deleted.
    fn delete(&mut self) -> Result<()> {
        let mut tx = self.store.begin();
        for run in self.store.snapshot().runs(RunFilter::all()).map(Result::unwrap) {
            let keep = self.any(&[Keep::Outcome, Keep::Nothing]);
            match self.random.below(12) {
                0 => drop(tx.delete_chain(&run.id, keep)),
                1 => drop(tx.delete_run(&run.id, keep)),
                _ => {}
            }
        }
        tx.commit_with(Durability::Buffered).map(drop)
    }

    /// Settles some of what is due.
    fn settle(&mut self) -> Result<()> {
        let duties: Vec<_> = self.store.duties(DutyFilter::all()).map(Result::unwrap).collect();
        for duty in &duties {
            if self.random.below(3) == 0 {
                self.store.settle(duty)?;
            }
        }
        Ok(())
    }
}

fn agree_on_kin(store: &Store) {
    if let Some(found) = read(store.path(), &["--kin"]) {
        same(&found, &json::kin(store));
    }
}

/// `KINLOG_TREES` sets how many trees are grown.
#[test]
fn relations_and_duties_are_derived_alike_over_random_trees() {
    let trees = std::env::var("KINLOG_TREES").map_or(3, |trees| trees.parse().unwrap());
    let mut states = std::collections::BTreeSet::new();
    for seed in 0..trees {
        let dir = directory();
        let store = kinlog::Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
        // Set again later, so that something of the first segment is dead.
        store.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
        let mut growing = Growing { store: &store, random: Rng::new(seed) };
        for _ in 0..3 {
            let taken = (0..150).filter(|_| growing.step().is_ok()).count();
            println!("{taken} steps taken, {} runs", store.stats().unwrap().runs);
            for run in store.snapshot().runs(RunFilter::all()).map(Result::unwrap) {
                let children = store.children(&run.id).into_iter().flatten();
                states.extend(children.map(|child| child.unwrap().state.name()));
            }
            states.extend(store.duties(DutyFilter::all()).map(Result::unwrap).map(|duty| {
                match (duty.kind(), duty.close_policy()) {
                    (DutyKind::ApplyClosePolicy, Some(RequestCancel)) => "RequestCancel",
                    (kind, _) => kind.name(),
                }
            }));
            agree_on_kin(&store);
        }
        // The first segments are full then.
        while store.end().as_u64() < 1 << 20 {
            store.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
        }
        store.transact(|tx| tx.put("filling", b"row", b"small")).unwrap();
        let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
        assert!(done.rewritten > 0, "{done:?}");
        agree_on_kin(&store);
        super::agree(&store);
        store.verify(|_| ()).unwrap();
    }
    // Every state of a child and every kind of duty is among them, both policies too.
    assert_eq!(states.len(), 6 + 6, "{states:?}");
}

#[test]
fn relations_and_duties_of_families_are_derived_alike() {
    for fill in [samples::family, samples::movers] {
        let dir = directory();
        let store = small_segments().open(dir.path()).unwrap();
        fill(&store);
        agree_on_kin(&store);
    }
}
