//! Waiting until a commit is as durable as it asked. A committer that finds a leader sleeps; whoever
//! is done is woken alone, and takes no lock to go on.

use std::sync::Arc;

use super::durability::{Durability, Span};
use super::parker::{GroupHint, Parker, Waiter};
use super::state::State;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::sync::atomic::Ordering;
use crate::sync::{MutexGuard, thread};

/// A few microseconds when there is nobody else to run.
const SPINS_MAX: u32 = 32;

impl Writer {
    /// Gives those a moment who were woken by the last round.
    pub(crate) fn await_group(&self, state: &mut MutexGuard<'_, State>) {
        let GroupHint { expected, spins } = state.group_hint;
        let missing = || self.gathered.load(Ordering::Relaxed) < expected;
        if !missing() || spins == 0 {
            return;
        }
        MutexGuard::unlocked(state, || {
            for _ in 0..spins {
                thread::yield_now();
                if !missing() {
                    break;
                }
            }
        });
        if missing() {
            state.group_hint.spins /= 2;
        }
    }

    /// Notes how many a round has woken.
    fn expect_group(&self, state: &mut State, woken: u32) {
        let gathered = self.gathered.load(Ordering::Relaxed);
        let expected = woken.saturating_add(1).saturating_add(gathered);
        let spins = if expected > 1 { (state.group_hint.spins + 1).min(SPINS_MAX) } else { 0 };
        state.group_hint = GroupHint { expected, spins };
    }

    /// Blocks until the commit is as durable as asked, writing and syncing if nobody else does.
    pub(crate) fn wait(&self, span: Span, durability: Durability) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = self.outcome(&state, span, durability) {
                return outcome;
            }
            if durability == Durability::Sync {
                state.wanted = state.wanted.max(span.end);
            }
            if !state.leading {
                self.lead(&mut state);
                continue;
            }
            let parker = Arc::<Parker>::default();
            state.waiters.push(Waiter { span, durability, parker: parker.clone() });
            drop(state);
            parker.park();
            if self.is_done(span, durability) {
                return Ok(());
            }
            state = self.state.lock();
        }
    }

    /// What became of a commit, once that is known.
    pub(crate) fn outcome(
        &self,
        state: &State,
        span: Span,
        durability: Durability,
    ) -> Option<Result<()>> {
        if self.is_done(span, durability) {
            return Some(Ok(()));
        }
        let failure = state.failure.as_ref()?;
        let (position, cause) = (span.start, failure.cause.clone());
        Some(Err(if position < failure.tried {
            Error::OutcomeUnknown { position, cause }
        } else {
            Error::NotWritten { cause }
        }))
    }

    /// Whether a commit is as durable as asked.
    fn is_done(&self, span: Span, durability: Durability) -> bool {
        let published = self.published.end();
        let done = match durability {
            Durability::Sync => self.durable().min(published),
            Durability::Buffered => published,
        };
        done >= span.end
    }

    /// The sleepers to wake after a round: first the one that leads the next, then all that are
    /// done.
    pub(crate) fn take_woken(&self, state: &mut State) -> Vec<Arc<Parker>> {
        let failed = state.failure.is_some();
        let is_over = |waiter: &mut Waiter| failed || self.is_done(waiter.span, waiter.durability);
        let done: Vec<_> = state.waiters.extract_if(.., is_over).collect();
        self.expect_group(state, u32::try_from(done.len()).unwrap_or(u32::MAX));
        let next = (!state.waiters.is_empty()).then(|| state.waiters.remove(0));
        next.into_iter().chain(done).map(|waiter| waiter.parker).collect()
    }
}
