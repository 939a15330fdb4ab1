//! Long histories: hundreds of batches between those of other runs, read from any event on, by readers of
//! any age, and across a reset.

use kinlog::{Durability, EventKind, History, NewEvent, NewReset, NewRun, Options, RunId, Store};
use kinlog_testing::Rng;

const BATCHES: u32 = 700;

/// What the event `id` of a run says, in up to 200 bytes.
fn payload(of: u8, id: u32) -> Vec<u8> {
    let mut payload = vec![of; (id * 7 % 200) as usize];
    payload.extend_from_slice(&id.to_le_bytes());
    payload
}

/// A run that grows, and what its events say, by id; `None` for one that kinlog wrote.
struct Grown {
    run: RunId,
    of: u8,
    said: Vec<Option<Vec<u8>>>,
}

impl Grown {
    fn start(store: &Store, of: u8) -> Self {
        let mut tx = store.begin();
        let first = payload(of, 1);
        let name = format!("order-{of}");
        let run = tx.start(NewRun::new("shop", &name, "Order").input(&first)).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
        Grown { run, of, said: vec![Some(first)] }
    }

    /// One more batch.
    fn grow(&mut self, store: &Store, events: u32) {
        let mut tx = store.begin();
        for _ in 0..events {
            let payload = payload(self.of, self.said.len() as u32 + 1);
            tx.append(&self.run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
            self.said.push(Some(payload));
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }

    /// Holds a history against the first `len` events, read from here and there on.
    fn check(&self, history: &History, len: usize, numbers: &mut Rng) {
        assert_eq!(history.len() as usize, len);
        let mut bytes = 0;
        for (event, said) in history.iter().zip(&self.said) {
            let event = event.unwrap();
            bytes += u64::from(event.size());
            assert_eq!(history.size_at(event.id()).unwrap(), bytes);
            assert!(said.as_ref().is_none_or(|said| said == event.payload()));
        }
        assert_eq!(bytes, history.bytes());
        let some = (0..20).map(|_| numbers.number(len as u32 + 2)).collect::<Vec<_>>();
        for from in some.into_iter().chain([1, len as u32, len as u32 + 1]) {
            let ids: Vec<_> = history.from(from).map(|event| event.unwrap().id()).collect();
            assert_eq!(ids, (from.max(1)..=len as u32).collect::<Vec<_>>(), "from {from} of {len}");
        }
        let back: Vec<_> = history.rev().map(|event| event.unwrap().id()).collect();
        assert_eq!(back, (1..=len as u32).rev().collect::<Vec<_>>());
    }
}

#[test]
fn every_reader_finds_every_event_of_a_long_run() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
    let store = open();
    let mut numbers = Rng::new(7);
    let mut runs = [Grown::start(&store, 1), Grown::start(&store, 2)];
    let mut readers = vec![];
    for batch in 0..BATCHES {
        let events = 1 + numbers.number(4);
        runs[numbers.below(2)].grow(&store, events);
        if batch % 61 == 0 {
            readers.push((store.snapshot(), runs[0].said.len(), runs[1].said.len()));
        }
    }
    for (reader, first, second) in &readers {
        for (run, len) in [(&runs[0], *first), (&runs[1], *second)] {
            run.check(&reader.history(&run.run).unwrap(), len, &mut numbers);
        }
    }
    drop(readers);

    // A reset to the middle of a batch, and of the way.
    let shared = runs[0].said.len() / 2 + 1;
    let mut tx = store.begin();
    let reset = tx.reset(&runs[0].run, NewReset::to(shared as u32)).unwrap();
    tx.commit().unwrap();
    let mut said = runs[0].said[..shared].to_vec();
    said.push(None);
    let mut reset = Grown { run: reset, of: 3, said };
    runs[0].said.push(None);
    (0..BATCHES / 2).for_each(|_| reset.grow(&store, 1 + numbers.number(3)));

    let check = |store: &Store, numbers: &mut Rng| {
        for run in runs.iter().chain([&reset]) {
            run.check(&store.history(&run.run).unwrap(), run.said.len(), numbers);
        }
    };
    check(&store, &mut numbers);
    drop(store);
    check(&open(), &mut numbers);
}

/// So many batches are not looked for all at once.
#[test]
fn twenty_thousand_batches_are_read_from_any_event_on() {
    const EVENTS: u32 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let Grown { run, .. } = Grown::start(&store, 1);
    for id in 2..=EVENTS {
        let mut tx = store.begin();
        let payload = payload(1, id);
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
        tx.submit(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    let history = store.history(&run).unwrap();
    for from in (1..=EVENTS).step_by(1997).chain(EVENTS..EVENTS + 2) {
        let mut next = from;
        for event in history.from(from) {
            let event = event.unwrap();
            assert_eq!((event.id(), event.payload()), (next, &payload(1, next)[..]), "from {from}");
            next += 1;
        }
        assert_eq!(next, from.max(EVENTS + 1), "from {from}");
    }
}
