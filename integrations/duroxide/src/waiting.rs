//! Long polling: whoever finds nothing to do sleeps until a commit brings something, or until its time has come.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::error::Result;
use crate::options::Polling;
use crate::provider::KinlogProvider;
use crate::state::State;

/// What a look at a queue found.
pub(crate) enum Look<T> {
    /// Work.
    Found(T),
    /// Nothing, and nothing before this time comes by itself.
    Nothing(Option<u64>),
    /// Work that the caller does not ask for now, but may when it asks again: it is not made to wait.
    Barred,
}

/// The longest wait, so that no sum of times is too large.
const DAY: Duration = Duration::from_secs(86_400);

impl KinlogProvider {
    /// Looks until there is something, for as long as the caller allows. Locks that others take meanwhile wake
    /// nobody when they expire; so it looks again after the time for which locks are taken.
    pub(crate) async fn look<T>(
        &self,
        wake: &Notify,
        (timeout, lock_timeout): (Duration, Duration),
        mut look: impl FnMut(&mut State) -> Result<Look<T>>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + timeout.min(DAY);
        loop {
            let mut woken = std::pin::pin!(wake.notified());
            // From here on no call is missed.
            woken.as_mut().enable();
            let next = match self.attempt(&mut look).await? {
                Look::Found(found) => return Ok(Some(found)),
                Look::Nothing(next) => next,
                Look::Barred => return Ok(None),
            };
            if self.options.polling == Polling::Short || Instant::now() >= deadline {
                return Ok(None);
            }
            let next = next.map(|time| Duration::from_millis(time.saturating_sub(clock::now())));
            let pause = next.unwrap_or(DAY).min(lock_timeout).min(DAY);
            let until = deadline.min(Instant::now() + pause);
            // Woken or not: look again.
            let _ = timeout_at(until, woken).await;
        }
    }
}
