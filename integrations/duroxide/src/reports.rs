//! Acknowledging activities: what workers report at about the same time is one commit.

use std::sync::{Arc, OnceLock};

use duroxide::providers::WorkItem;

use crate::clock;
use crate::error::{Result, refused};
use crate::item::Job;
use crate::provider::KinlogProvider;
use crate::state::State;

/// That an activity was done, and what it came to.
pub(crate) struct Report {
    token: String,
    completion: Option<WorkItem>,
    /// Whether its worker held it until then; set when it is submitted.
    held: Arc<OnceLock<bool>>,
}

impl KinlogProvider {
    /// Commits a report, together with those that come while it yields.
    pub(crate) async fn report(&self, token: &str, completion: Option<WorkItem>) -> Result<()> {
        let held = Arc::new(OnceLock::new());
        let report = Report { token: token.to_owned(), completion, held: held.clone() };
        self.state.lock().reports.push(report);
        tokio::task::yield_now().await;
        // If it has an answer, another one took it along.
        let attempt = |state: &mut State| match held.get() {
            None => self.commit_reports(state),
            Some(_) => Ok(()),
        };
        let committed = self.commit(attempt).await;
        match held.get() {
            Some(true) => committed,
            Some(false) => refused("the activity was cancelled, or its lock has expired"),
            None => {
                let is_other = |report: &Report| !Arc::ptr_eq(&report.held, &held);
                self.state.lock().reports.retain(is_other);
                committed
            }
        }
    }

    fn commit_reports(&self, state: &mut State) -> Result<()> {
        let now = clock::now();
        let mut tx = self.begin();
        let (mut jobs, mut items): (Vec<Option<Job>>, _) = (vec![], vec![]);
        for report in &state.reports {
            let job = state.work.holds(&report.token, now);
            let job = job.filter(|job| !jobs.iter().flatten().any(|known| known == job));
            if let Some(job) = &job {
                state.work.delete(&mut tx, job, false)?;
                items.extend(report.completion.clone());
            }
            jobs.push(job);
        }
        self.submit(state, tx, &mut items, 0)?;
        for (report, job) in std::mem::take(&mut state.reports).into_iter().zip(jobs) {
            report.held.get_or_init(|| job.is_some());
            if let Some(job) = job {
                state.touch(&job, now);
                state.work.forget(&job, false, now);
            }
        }
        Ok(())
    }
}
