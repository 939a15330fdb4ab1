//! Settling duties: the effect in one run and the mark in the other are the same commit.

use super::child_events::relation;
use super::children::ChildStart;
use super::new_run::Close;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::{Body, CancelRequested, NewEvent, ParentClosePolicy, StartChildFailedCause};
use crate::id::RunId;
use crate::index::{DutyKey, DutyKind};
use crate::log::write::Durability;
use crate::store::pending::{EventSource, Precondition};
use crate::store::read::Duty;
use crate::store::shared::Store;
use crate::store::tx::{Commit, Step, Stepped, Stop, Transaction, retry};

/// How many duties are settled in one commit.
const PAGE_DUTIES: usize = 1000;
/// How many of them are settled under one look at the index: nobody commits meanwhile.
const LOOK_DUTIES: usize = 64;
/// From how many bytes of events on a page is committed before it is full.
const PAGE_BYTES: u64 = 8 << 20;
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
    /// [`Transaction::commit`]; what others commit meanwhile is no error, as in [`Store::transact`].
    pub fn settle(&self, duty: &Duty) -> Result<Option<Commit>> {
        retry(|| {
            let mut tx = self.begin();
            if tx.settle(duty)? { tx.commit().map(Some) } else { Ok(None) }
        })
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
    /// let child = tx.spawn_child(&order, NewChild::new("ship-42", "Shipping"))?.run;
    /// tx.commit()?;
    /// store.close_run(&order, Close::completed(b"ok"))?;
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
    /// commit before it is made: [`Transaction::runs`] says whom it reaches. `along` is called
    /// again for a commit that others came before, as in [`Store::transact`].
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
        self.shared.here()?;
        let mut settled = Settled::default();
        let (mut after, mut size) = (None, PAGE_DUTIES);
        loop {
            let (built, committed) = retry(|| self.settle_page(kinds, (after, size), &mut along))?;
            if built.looked == 0 {
                break;
            }
            match committed {
                Ok(()) => settled.add(&built),
                // They do not fit into one commit: fewer, and in the end each by itself.
                Err(_) if built.looked > 1 => {
                    size = built.looked / 2;
                    continue;
                }
                Err(error) => settled.refuse(error),
            }
            (after, size) = (built.last, PAGE_DUTIES);
        }
        if settled.commits > 0 {
            self.sync()?;
        }
        Ok(settled)
    }

    /// Settles the duties that follow `after`, up to `size` of them, in one commit; the error within says
    /// that they do not fit into one.
    fn settle_page(
        &self,
        kinds: &[DutyKind],
        (after, size): (Option<DutyKey>, usize),
        along: &mut dyn FnMut(&mut Transaction<'_>) -> Result<()>,
    ) -> Result<(Page, Result<()>)> {
        let mut tx = self.begin();
        let mut duties = std::mem::take(&mut tx.work.due);
        self.shared.index.read().duties.page(kinds, after, size, &mut duties);
        let page = tx.settle_page(&duties);
        tx.work.due = duties;
        let page = page?;
        if page.settled == 0 {
            return Ok((page, Ok(())));
        }
        along(&mut tx)?;
        match tx.commit_with(Durability::Buffered) {
            Err(error @ Error::LimitExceeded { .. }) => Ok((page, Err(error))),
            committed => committed.map(|_| (page, Ok(()))),
        }
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
    /// Nothing more may be settled in the same commit.
    full: bool,
}

/// What settling a duty comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There was nothing left to do.
    Nothing,
    Done,
    /// Done, and another run was terminated to make way. It is settled in a commit of its own: what it leads
    /// to is due after what earlier duties led to and before what later ones do, and only positions of
    /// commits tell that order.
    Displaced,
    /// It would terminate another run, and is not the first of its commit.
    Later,
}

impl Transaction<'_> {
    /// Does what a duty asks, as part of this transaction; whether there was anything left to do,
    /// also after the transaction's own steps.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the run that is to be told has no room for it; nothing has
    /// changed then.
    pub fn settle(&mut self, duty: &Duty) -> Result<bool> {
        self.step(|step| Ok::<_, Stop>(step.settle_key(&duty.key, true)? != Outcome::Nothing))
    }

    fn settle_page(&mut self, duties: &[DutyKey]) -> Result<Page> {
        let mut page = Page::default();
        while !page.full && page.looked < duties.len() {
            let rest = duties.get(page.looked..).unwrap_or_default();
            self.step(|step| step.settle_some(rest, &mut page))?;
        }
        Ok(page)
    }
}

impl Step<'_> {
    /// Settles the first of these duties, as many as one look may take.
    fn settle_some(&mut self, duties: &[DutyKey], page: &mut Page) -> Stepped<()> {
        let segment = u64::from(self.published.identity.segment_bytes);
        let before = page.looked;
        for key in duties.iter().take(LOOK_DUTIES) {
            self.work.named.clear();
            match self.settle_key(key, page.settled == 0) {
                Ok(Outcome::Later) => {
                    page.full = true;
                    break;
                }
                Ok(outcome) => {
                    page.settled += u64::from(outcome != Outcome::Nothing);
                    page.full = outcome == Outcome::Displaced;
                }
                Err(Stop::Refused(error @ Error::LimitExceeded { .. })) => {
                    self.keep_named();
                    page.refused += 1;
                    page.refusal = page.refusal.take().or(Some(error));
                }
                // What was settled before stays.
                Err(Stop::Unwritten(_)) if page.looked > before => break,
                Err(stop) => return Err(stop),
            }
            page.looked += 1;
            page.last = Some(*key);
            page.full |= wide(self.work.events.len()) >= PAGE_BYTES.min(segment / 4);
            if page.full {
                break;
            }
        }
        Ok(())
    }

    /// Does what a duty asks. `may_displace`: also where another run must be terminated for it.
    fn settle_key(&mut self, key: &DutyKey, may_displace: bool) -> Stepped<Outcome> {
        let Some(run) = self.index.runs.look(key.run, |run| run.id) else {
            return Ok(Outcome::Nothing);
        };
        if !self.read_duty(key)? || !self.is_still_open(run, key) {
            return Ok(Outcome::Nothing);
        }
        self.settle_open(&run, key, may_displace)
    }

    /// Whether a duty that was open before this transaction is still open after the steps so far.
    fn is_still_open(&self, run: RunId, key: &DutyKey) -> bool {
        let (index, draft) = (self.index, &self.work.draft);
        let open = || self.work.closed(&run).is_none();
        match key.kind {
            DutyKind::ApplyClosePolicy => draft.taken_by(index, key.run, key.event).is_none(),
            DutyKind::StartChild => open() && draft.may_start(index, run, key.event),
            DutyKind::ReportClose => open() && draft.may_report(index, run, key.event),
            DutyKind::DeliverSignal | DutyKind::DeliverCancel => {
                let waiting = draft.waits_for(index, run, key.event);
                open() && waiting.map(DutyKind::from) == Some(key.kind)
            }
        }
    }

    fn settle_open(&mut self, run: &RunId, key: &DutyKey, may_displace: bool) -> Stepped<Outcome> {
        let done = |done| if done { Outcome::Done } else { Outcome::Nothing };
        match key.kind {
            DutyKind::StartChild => self.settle_start(run, key.event, may_displace),
            DutyKind::ReportClose => {
                self.report_child(run, key.event, Precondition::Loose).map(|_| Outcome::Done)
            }
            DutyKind::ApplyClosePolicy => Ok(done(self.settle_policy(run, key.event)?)),
            DutyKind::DeliverSignal | DutyKind::DeliverCancel => {
                self.settle_request(run, key).map(done)
            }
        }
    }

    fn settle_start(
        &mut self,
        parent: &RunId,
        initiated: u32,
        may_displace: bool,
    ) -> Stepped<Outcome> {
        match self.start_initiated(parent, initiated, None, may_displace, Precondition::Loose) {
            Err(Stop::Refused(Error::WorkflowExists { .. })) => {
                let cause = StartChildFailedCause::WorkflowAlreadyExists;
                self.fail_child(parent, initiated, cause, Precondition::Loose)?;
                Ok(Outcome::Done)
            }
            started => Ok(match started? {
                ChildStart::WouldDisplace => Outcome::Later,
                ChildStart::Started { displaced: None, .. } => Outcome::Done,
                ChildStart::Started { displaced: Some(_), .. } => Outcome::Displaced,
            }),
        }
    }

    /// Applies the close policy to the current run of a child. Idempotent: nothing is done twice.
    fn settle_policy(&mut self, parent: &RunId, initiated: u32) -> Result<bool> {
        let index = self.index;
        let Some((number, relation)) = relation(index, parent, initiated) else { return Ok(false) };
        let Some(first) = relation.child.and_then(|child| index.runs.get(child)) else {
            return Ok(false);
        };
        let Some(chain) = self.read_chain(first.chain)? else { return Ok(false) };
        let Some(newest) = index.runs.get(chain.newest()) else { return Ok(false) };
        let (child, status) = self.work.draft.last_after(index, &newest);
        if !status.is_open() || self.work.closed(&child).is_some() {
            return Ok(false);
        }
        let run = if child == newest.id {
            self.find_known(chain.newest(), &newest, Precondition::Loose)?
        } else {
            self.find_at(&child, Precondition::Loose)?
        };
        let workflow_id;
        let event = match relation.policy {
            ParentClosePolicy::Terminate => Close::terminated(BY_PARENT_CLOSE_POLICY).0,
            ParentClosePolicy::RequestCancel if !self.work.draft.cancel_requested(index, child) => {
                let workflow = index.runs.get(number).and_then(|parent| index.workflow_of(&parent));
                workflow_id = workflow.map(|(_, workflow)| workflow.id.clone());
                NewEvent::new(Body::WorkflowExecutionCancelRequested(CancelRequested {
                    external_workflow_id: workflow_id.as_deref().unwrap_or_default(),
                    external_run_id: Some(*parent),
                    external_initiated_event_id: 0,
                }))
            }
            // It was asked to cancel before, or the policy does nothing.
            _ => return Ok(false),
        };
        self.add(run, &event, EventSource::Store)?;
        Ok(true)
    }
}
