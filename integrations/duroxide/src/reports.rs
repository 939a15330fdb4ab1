//! Acknowledging activities: what workers report at about the same time is one commit.

use std::sync::{Arc, OnceLock};

use duroxide::providers::WorkItem;

use crate::clock;
use crate::commits::Submitted;
use crate::error::{Result, refused};
use crate::item::Job;
use crate::provider::KinlogProvider;
use crate::state::{Put, State};
use crate::tables::WORK;

/// That an activity was done, and what it came to.
pub(crate) struct Report {
    token: String,
    completion: Option<WorkItem>,
    /// Whether its worker held it until then; set when it is submitted.
    held: Arc<OnceLock<bool>>,
}

impl KinlogProvider {
    /// Commits a report, together with those that come while it yields.
    pub(crate) async fn report(
        &self,
        token: &str,
        completion: Option<WorkItem>,
    ) -> Result<Submitted> {
        let held = Arc::new(OnceLock::new());
        let report = Report { token: token.to_owned(), completion, held: held.clone() };
        self.state.lock().reports.push(report);
        tokio::task::yield_now().await;
        let state = &mut *self.state.lock();
        let submitted = match held.get() {
            None => self.commit_reports(state)?,
            // Another one took it along.
            Some(_) => {
                let mut tx = self.store.begin();
                tx.get(WORK, b"")?;
                self.wait_for_all(state, tx)?
            }
        };
        match held.get() {
            Some(true) => Ok(submitted),
            _ => refused("the activity was cancelled, or its lock has expired"),
        }
    }

    fn commit_reports(&self, state: &mut State) -> Result<Submitted> {
        let now = clock::now();
        let mut tx = self.store.begin();
        let mut taken: Vec<(Job, Option<Put>, Arc<OnceLock<bool>>)> = vec![];
        for Report { token, completion, held } in std::mem::take(&mut state.reports) {
            let job = state.work.holds(&token, now);
            let job = job.filter(|job| taken.iter().all(|(known, ..)| known != job));
            let Some(job) = job else {
                held.get_or_init(|| false);
                continue;
            };
            state.work.delete(&mut tx, &job, false)?;
            let put = completion.map(|item| state.write(&mut tx, item, 0)).transpose()?;
            taken.push((job, put, held));
        }
        let submitted = self.submit(state, tx)?;
        for (job, put, held) in taken {
            state.touch(&job, now);
            state.work.forget(&job, false, now);
            put.into_iter().for_each(|put| state.add(put));
            held.get_or_init(|| true);
        }
        self.wake(state);
        Ok(submitted)
    }
}
