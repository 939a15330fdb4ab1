//! Named consumers of the log: plain maps say how far each has come, and which segments must be whole for it.

use kinlog::retention::Compacted;
use kinlog::{Error, Position, Store, Tail};

use super::Session;
use crate::check;
use crate::model;

const NAMES: [&str; 3] = ["search", "audit", "a"];

/// What an advance is to come to.
#[derive(PartialEq, Eq, Debug)]
enum Advanced {
    Moved,
    /// It is there already.
    Same,
    Ahead(Position),
    Compacted,
    Invalid,
}

impl Session {
    /// A consumer is made, moved on or removed.
    pub(super) fn consume(&mut self, store: &Store, tail: &mut Tail) {
        self.catch_up(tail);
        let name = self.rng.pick(&NAMES);
        let at = self.state.consumers.get(name).copied();
        let asked = self.position(tail, at);
        match self.rng.below(10) {
            0..3 => self.remove_consumer(store, tail, name),
            3 => self.rival_consumers(store, tail, name, asked),
            _ => self.advance_consumer(store, tail, name, asked),
        }
        check::consumers(&store.snapshot(), &self.state);
    }

    /// Where a consumer that is at `at` may want to be: mostly further on, sometimes where there is no commit.
    fn position(&mut self, tail: &Tail, at: Option<Position>) -> Position {
        let known = self.positions.len();
        match self.rng.below(20) {
            0 => Position::START,
            1 => at.unwrap_or_default(),
            2 if known > 0 => {
                let commit = self.positions[self.rng.below(known)];
                Position::from_u64(commit.as_u64() + 4)
            }
            3..8 if known > 0 => self.positions[self.rng.below(known)],
            8..14 if known > 0 => self.positions[known - 1 - self.rng.below(known.min(200))],
            _ => tail.position(),
        }
    }

    fn expected(&self, name: &str, asked: Position) -> Advanced {
        let is_commit = asked == Position::START
            || asked == self.tail_from
            || self.positions.binary_search(&asked).is_ok();
        match self.state.consumers.get(name) {
            Some(at) if *at > asked => Advanced::Ahead(*at),
            Some(at) if *at == asked => Advanced::Same,
            _ if self.rewritten.contains(&segment(asked)) => Advanced::Compacted,
            _ if !is_commit => Advanced::Invalid,
            None if self.rewritten.range(segment(asked)..).next().is_some() => Advanced::Compacted,
            _ => Advanced::Moved,
        }
    }

    fn advance_consumer(
        &mut self,
        store: &Store,
        tail: &mut Tail,
        name: &'static str,
        to: Position,
    ) {
        let expected = self.expected(name, to);
        self.note(format!("{name} to {to:?}: {expected:?}"));
        let found = store.transact(|tx| tx.advance_consumer(name, to));
        let commit = match found {
            Ok((_, commit)) => commit,
            Err(error) => return assert_eq!(refused(&error, to), expected, "{error}"),
        };
        if expected == Advanced::Moved {
            self.consumer_moved(store, tail, name, Some(to), commit.position());
        } else {
            assert_eq!(expected, Advanced::Same);
        }
    }

    fn remove_consumer(&mut self, store: &Store, tail: &mut Tail, name: &'static str) {
        self.note(format!("remove {name}"));
        let (_, commit) = store.transact(|tx| tx.remove_consumer(name)).unwrap();
        if self.state.consumers.contains_key(name) {
            self.consumer_moved(store, tail, name, None, commit.position());
        }
    }

    /// Two transactions move the same consumer: the one that commits last knows of a consumer that is not there.
    fn rival_consumers(
        &mut self,
        store: &Store,
        tail: &mut Tail,
        name: &'static str,
        to: Position,
    ) {
        if self.expected(name, to) != Advanced::Moved {
            return;
        }
        self.note(format!("two move {name} to {to:?}"));
        let mut rivals = [store.begin(), store.begin()];
        rivals.iter_mut().for_each(|tx| tx.advance_consumer(name, to).unwrap());
        let [first, second] = rivals;
        let first = first.commit().unwrap();
        self.consumer_moved(store, tail, name, Some(to), first.position());
        let second = second.commit().unwrap_err();
        assert!(second.is_retryable(), "{second}");
    }

    fn consumer_moved(
        &mut self,
        store: &Store,
        tail: &mut Tail,
        name: &'static str,
        to: Option<Position>,
        at: Position,
    ) {
        let mut after = self.state.clone();
        let commit = after.move_consumer(name, to);
        self.done.consumed += 1;
        self.committed(after, commit);
        self.visible(store, tail, self.commits.len() - 1, at);
    }

    /// What a compaction left for consumers; `keep_from` is what it was asked to leave as well.
    pub(super) fn held_back(&self, done: &Compacted, keep_from: Option<Position>) {
        let named = self.state.consumers.iter().map(|(name, at)| (*at, Some((*name).to_owned())));
        let asked = keep_from.map(|at| (at, None));
        let slowest = named.chain(asked).min_by_key(|(at, _)| *at);
        let Some((slowest, _)) = slowest else { return assert_eq!(done.held_back, None) };
        let limit = segment(Position::from_u64(slowest.as_u64().saturating_sub(1)));
        let too_far = done.segments.iter().find(|it| it.segment >= limit);
        assert!(too_far.is_none(), "a consumer is at {slowest:?}: {too_far:?}");
        if let Some(held) = &done.held_back {
            assert_eq!(held.position, slowest);
            let at = held
                .consumer
                .as_deref()
                .map_or(keep_from, |name| self.state.consumers.get(name).copied());
            assert_eq!(at, Some(slowest), "{held:?}");
        }
    }

    /// Each consumer gets every commit from its position on.
    pub(super) fn all_is_there_for_consumers(&self, store: &Store) {
        for (name, at) in &self.state.consumers {
            let mut tail = store.tail(*at);
            for position in &self.positions[self.positions.partition_point(|it| it < at)..] {
                let found = tail.try_next().unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(found.map(|view| view.position()), Some(*position), "{name}");
            }
        }
    }
}

fn segment(position: Position) -> u32 {
    u32::try_from(position.as_u64() / u64::from(model::SEGMENT_BYTES)).unwrap()
}

fn refused(error: &Error, to: Position) -> Advanced {
    match error {
        Error::ConsumerAhead { position, asked, .. } if *asked == to => Advanced::Ahead(*position),
        Error::Compacted { .. } => Advanced::Compacted,
        Error::InvalidArgument { .. } => Advanced::Invalid,
        other => panic!("the store failed: {other}"),
    }
}
