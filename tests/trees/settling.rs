//! Settling duties in the store and in the model.

use kinlog::{DutyFilter, DutyKind, Store};

use crate::draft::Draft;
use crate::op::refusal;
use crate::settle::{Settled, settle_all};
use crate::world::World;

impl World {
    pub(crate) fn settle_one(&mut self, store: &Store) {
        let Some(key) = self.rng.duty(&self.state) else { return };
        self.done.steps += 1;
        let run = self.state.runs[key.1].id;
        let mut duties = store.duties(DutyFilter::all().kind(key.0).run(run)).map(Result::unwrap);
        let duty = duties.find(|duty| duty.initiated_event_id() == key.2).unwrap();
        drop(duties);
        let found = store.settle(&duty);
        self.note(|| format!("  settle {key:?} of {run}: {found:?}"));
        let mut model = Draft::new(&self.state);
        let expected = model.settle(key, self.rng.stand_in());
        let limits = self.state.limits;
        match (found, expected) {
            (Ok(Some(commit)), Ok(true)) => {
                let (after, runs) = model.commit();
                self.committed(store, after, &runs, &limits, &commit);
                assert!(!self.state.duties.contains_key(&key), "settled, and still to do: {key:?}");
                assert!(store.settle(&duty).unwrap().is_none(), "settled twice");
            }
            (Ok(None), Ok(false)) => {}
            (Err(error), Err(no)) => assert!(no.contains(&refusal(&error)), "{error}, not {no:?}"),
            (found, expected) => panic!("settled: {found:?}, expected: {expected:?}"),
        }
    }

    pub(crate) fn settle_kinds(&mut self, store: &Store, kinds: &[DutyKind]) {
        self.done.steps += 1;
        let rng = &mut self.rng;
        let (after, expected) = settle_all(&self.state, kinds, &mut || rng.stand_in());
        let found = if kinds.len() > 1 { store.settle_all() } else { store.settle_kinds(kinds) };
        self.note(|| format!("  settle {kinds:?}: {found:?}"));
        let found = found.unwrap();
        let Settled { duties, commits, refused } = expected;
        assert_eq!((found.duties, found.commits, found.refused), (duties, commits, refused));
        self.done.settled += duties;
        self.state = after;
        self.learn_ids(store);
        self.everything(store);
    }
}
