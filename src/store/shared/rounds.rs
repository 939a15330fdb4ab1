//! Rounds of maintenance: when the next one begins, who waits for one, and what they came to.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::retention::Maintained;
use crate::sync::{Condvar, Mutex};

/// What the thread for maintenance and those who wait for it share.
#[derive(Default)]
pub(crate) struct Rounds {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many rounds have begun.
    begun: u64,
    /// How many are asked for.
    asked: u64,
    /// There is no other round.
    ended: bool,
    done: Done,
}

/// What rounds came to.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) rounds: u64,
    pub(crate) runs: u64,
    pub(crate) outcomes: u64,
    pub(crate) freed_bytes: u64,
    /// What the last one came to.
    pub(crate) last: Result<Maintained>,
}

impl Default for Done {
    fn default() -> Self {
        Done { rounds: 0, runs: 0, outcomes: 0, freed_bytes: 0, last: Ok(Maintained::default()) }
    }
}

impl Rounds {
    /// Waits until a round is asked for, or until `rest` is over; whether there is to be one.
    pub(crate) fn next(&self, rest: Duration) -> bool {
        let mut state = self.state.lock();
        let idle = |state: &mut State| !state.ended && state.asked <= state.begun;
        self.changed.wait_while_for(&mut state, idle, rest);
        state.begun += u64::from(!state.ended);
        !state.ended
    }

    /// The round is over. `done` is what it did, also where it then failed.
    pub(crate) fn over(&self, done: &Maintained, failure: Option<Error>) {
        let mut state = self.state.lock();
        let sums = &mut state.done;
        sums.rounds += 1;
        sums.runs += done.expired.runs;
        sums.outcomes += done.expired.outcomes;
        sums.freed_bytes += done.compacted.as_ref().map_or(0, |it| it.freed_bytes);
        sums.last = failure.map_or_else(|| Ok(done.clone()), Err);
        self.changed.notify_all();
    }

    /// There is no other round, and the one under way is to end as soon as it can.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }

    pub(crate) fn have_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Asks for a round that begins from now on, and waits for its end.
    pub(crate) fn round(&self) -> Result<Maintained> {
        let mut state = self.state.lock();
        let number = state.begun + 1;
        state.asked = state.asked.max(number);
        self.changed.notify_all();
        while state.done.rounds < number {
            if state.ended {
                return Err(Error::invalid(
                    "the thread for maintenance has ended: its clock has panicked",
                ));
            }
            self.changed.wait(&mut state);
        }
        state.done.last.clone()
    }

    pub(crate) fn done(&self) -> Done {
        self.state.lock().done.clone()
    }
}
