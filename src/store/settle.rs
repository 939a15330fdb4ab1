//! Settling duties: the effect in one run and the mark in the other are the same commit.

use super::Store;
use super::commit::Commit;
use super::duties::Duty;
use super::relation::relation;
use super::spawn::StartChildFailedCause;
use super::start::Close;
use super::transaction::Transaction;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::{Body, CancelRequested, NewEvent, ParentClosePolicy};
use crate::id::RunId;
use crate::index::{DutyKey, DutyKind, Index};
use crate::log::Durability;

/// How many duties are settled in one commit.
const PAGE_DUTIES: usize = 1000;
/// From how many bytes of events on a page is committed before it is full.
const PAGE_BYTES: u64 = 8 << 20;
/// How often a commit that others came before is built again.
const ATTEMPTS_MAX: usize = 100;
/// Why a parent's close policy terminates a child.
const BY_PARENT_CLOSE_POLICY: &str = "by parent close policy";

/// What settling came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settled {
    /// Duties that were settled.
    pub duties: u64,
    /// Commits that it took.
    pub commits: u64,
    /// Duties that stay open because a limit stands against what they ask.
    pub refused: u64,
    /// Why the first of them was refused.
    pub refusal: Option<Error>,
}

impl Store {
    /// Settles a duty in a commit of its own; `None` if there was nothing left to do. Durable when
    /// it returns.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the run that is to be told has no room for it, and as
    /// [`Transaction::commit`].
    pub fn settle(&self, duty: &Duty) -> Result<Option<Commit>> {
        let mut attempts = 0;
        loop {
            let mut tx = self.begin();
            if !tx.settle(duty)? {
                return Ok(None);
            }
            attempts += 1;
            match tx.commit() {
                Err(error) if overtaken(&error) && attempts < ATTEMPTS_MAX => {}
                outcome => return outcome.map(Some),
            }
        }
    }

    /// Settles all duties, and those that settling opens, oldest first, a thousand in a commit.
    /// Durable when it returns; what a crash leaves undone is open again afterwards.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Close, NewChild, NewRun, RunStatus};
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// let child = tx.spawn_child(&order, NewChild::new("ship-42", "Shipping"))?;
    /// tx.commit()?;
    /// store.close(&order, Close::completed(b"ok"))?;
    /// assert_eq!(store.settle_all()?.duties, 1);
    /// assert_eq!(store.run(&child)?.status, RunStatus::Terminated);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::commit`]. A duty that meets a limit is counted and left open.
    pub fn settle_all(&self) -> Result<Settled> {
        self.settle_kinds(&DutyKind::ALL)
    }

    /// Settles all duties of these kinds; see [`Store::settle_all`].
    ///
    /// # Errors
    /// As [`Store::settle_all`].
    pub fn settle_kinds(&self, kinds: &[DutyKind]) -> Result<Settled> {
        self.settle_with(kinds, |_| Ok(()))
    }

    /// Settles all duties of these kinds, as [`Store::settle_all`], and lets `along` add to each
    /// commit before it is made: [`Transaction::runs`] says whom it reaches. `along` may be called
    /// again for a commit that others came before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::DutyKind;
    ///
    /// store.settle_with(&DutyKind::ALL, |tx| {
    ///     for run in tx.runs() {
    ///         tx.put("ready", run.as_bytes(), b"")?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::settle_all`], and those of `along`.
    pub fn settle_with(
        &self,
        kinds: &[DutyKind],
        mut along: impl FnMut(&mut Transaction<'_>) -> Result<()>,
    ) -> Result<Settled> {
        let mut settled = Settled::default();
        let (mut after, mut size, mut attempts) = (None, PAGE_DUTIES, 0);
        loop {
            let page = self.shared.index.read().duties.page(kinds, after, size);
            if page.is_empty() {
                break;
            }
            let mut tx = self.begin();
            let built = tx.settle_page(&page)?;
            if built.settled > 0 {
                along(&mut tx)?;
            }
            match tx.commit_with(Durability::Buffered) {
                Ok(_) => settled.add(&built),
                Err(error) if overtaken(&error) && attempts < ATTEMPTS_MAX => {
                    attempts += 1;
                    continue;
                }
                // They do not fit into one commit: fewer, and in the end each by itself.
                Err(Error::LimitExceeded { .. }) if built.looked > 1 => {
                    size = built.looked / 2;
                    continue;
                }
                Err(error @ Error::LimitExceeded { .. }) => settled.refuse(error),
                Err(error) => return Err(error),
            }
            (after, size, attempts) = (built.last, PAGE_DUTIES, 0);
        }
        if settled.commits > 0 {
            self.sync()?;
        }
        Ok(settled)
    }
}

impl Settled {
    fn add(&mut self, page: &Page) {
        self.duties += page.settled;
        self.commits += u64::from(page.settled > 0);
        self.refused += page.refused;
        self.refusal = self.refusal.take().or_else(|| page.refusal.clone());
    }

    fn refuse(&mut self, error: Error) {
        self.refused += 1;
        self.refusal.get_or_insert(error);
    }
}

/// What became of a page of duties.
#[derive(Default)]
struct Page {
    looked: usize,
    settled: u64,
    refused: u64,
    refusal: Option<Error>,
    last: Option<DutyKey>,
}

impl Transaction<'_> {
    /// Does what a duty asks, as part of this transaction; whether there was anything left to do,
    /// also after the transaction's own steps.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the run that is to be told has no room for it; nothing has
    /// changed then.
    pub fn settle(&mut self, duty: &Duty) -> Result<bool> {
        self.settle_key(&duty.key)
    }

    fn settle_page(&mut self, duties: &[DutyKey]) -> Result<Page> {
        let mut page = Page::default();
        let segment = u64::from(self.shared.published.identity.segment_bytes);
        for key in duties {
            match self.settle_key(key) {
                Ok(settled) => page.settled += u64::from(settled),
                Err(error @ Error::LimitExceeded { .. }) => {
                    page.refused += 1;
                    page.refusal = page.refusal.or(Some(error));
                }
                Err(error) => return Err(error),
            }
            page.looked += 1;
            page.last = Some(*key);
            if wide(self.work.events.len()) >= PAGE_BYTES.min(segment / 4) {
                break;
            }
        }
        Ok(page)
    }

    fn settle_key(&mut self, key: &DutyKey) -> Result<bool> {
        let run = {
            let index = self.shared.index.read();
            let run = index.runs.get(key.run).map(|run| run.id);
            let Some(run) = run.filter(|run| self.is_open(&index, *run, key)) else {
                return Ok(false);
            };
            run
        };
        self.settling = true;
        let settled = self.settle_open(&run, key);
        self.settling = false;
        settled
    }

    /// Whether a duty is still open after the steps so far.
    fn is_open(&self, index: &Index, run: RunId, key: &DutyKey) -> bool {
        let closes = || {
            let touched = self.touched_by_id(&run);
            touched.is_some_and(|touched| !touched.progress.status.is_open())
        };
        let open = match key.kind {
            DutyKind::ApplyClosePolicy => true,
            DutyKind::StartChild => !closes() && self.work.draft.may_start(index, run, key.event),
            DutyKind::ReportClose => !closes() && self.work.draft.may_report(index, run, key.event),
            kind => !closes() && self.work.draft.waits_for(index, run, key.event) == Some(kind),
        };
        open && is_due(index, key)
    }

    fn settle_open(&mut self, run: &RunId, key: &DutyKey) -> Result<bool> {
        match key.kind {
            DutyKind::StartChild => self.settle_start(run, key.event),
            DutyKind::ReportClose => self.report_child(run, key.event).map(|_| true),
            DutyKind::ApplyClosePolicy => self.settle_policy(run, key.event),
            DutyKind::DeliverSignal | DutyKind::DeliverCancel => self.settle_request(run, key),
        }
    }

    fn settle_start(&mut self, parent: &RunId, initiated: u32) -> Result<bool> {
        match self.start_child(parent, initiated) {
            Err(Error::WorkflowExists { .. }) => {
                let cause = StartChildFailedCause::WorkflowAlreadyExists;
                self.fail_child(parent, initiated, cause).map(|_| true)
            }
            started => started.map(|_| true),
        }
    }

    /// Reaches the current run of a child, whichever it is by now.
    fn settle_policy(&mut self, parent: &RunId, initiated: u32) -> Result<bool> {
        let found = {
            let index = self.shared.index.read();
            relation(&index, parent, initiated).and_then(|(number, relation)| {
                let first = index.runs.get(relation.child?)?;
                let current = index.runs.get(index.chains.get(first.chain)?.newest())?;
                let parent = index.workflow_of(index.runs.get(number)?)?.1.id.clone();
                Some((current.id, relation.policy, parent))
            })
        };
        let Some((child, policy, parent_workflow_id)) = found else { return Ok(false) };
        let run = self.find(&child)?;
        if !self.touched(run)?.progress.status.is_open() {
            return Ok(false);
        }
        if policy == ParentClosePolicy::RequestCancel {
            if self.work.draft.cancel_requested(&self.shared.index.read(), child) {
                return Ok(false);
            }
            let body = Body::WorkflowExecutionCancelRequested(CancelRequested {
                external_workflow_id: &parent_workflow_id,
                external_run_id: Some(*parent),
                external_initiated_event_id: 0,
            });
            self.add(run, &NewEvent::new(body))?;
        } else {
            self.add(run, &Close::terminated(BY_PARENT_CLOSE_POLICY).0)?;
        }
        Ok(true)
    }
}

/// Whether a duty is open before this transaction.
fn is_due(index: &Index, key: &DutyKey) -> bool {
    let ties = index.runs.get(key.run).and_then(|run| run.ties.as_deref());
    ties.is_some_and(|ties| match key.kind {
        DutyKind::DeliverSignal | DutyKind::DeliverCancel => {
            ties.externals.get(&key.event).is_some_and(|external| external.since.is_some())
        }
        kind => {
            let relation = ties.find(key.event).and_then(|place| ties.children.get(place));
            relation.is_some_and(|relation| relation.duty.is_some_and(|(due, _)| due == kind))
        }
    })
}

/// Whether another commit came first, so that building the same one again can succeed.
fn overtaken(error: &Error) -> bool {
    matches!(
        error,
        Error::Conflict { .. }
            | Error::RunClosed { .. }
            | Error::IllegalEvent { .. }
            | Error::WorkflowExists { .. }
    )
}
