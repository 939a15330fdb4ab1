//! Commits that no writer makes, with bytes that are right in all else: what is refused of them.

use super::{Index, Payload};
use crate::event::{
    Body, Buffer, CancelRequested, ChildInitiated, ChildStarted, EventIds, EventKind,
    ExternalFailedCause, ExternalInitiated, ExternalResolved, NewEvent, ParentClosePolicy, Reset,
    Started, Terminated, encode,
};
use crate::id::{Position, RunId, Timestamp};
use crate::index::rules::Refusal;
use crate::log::format::{write_batch_header, write_put};

use crate::index::state::{DELETED_TABLE, NAMESPACES_TABLE, Settings};
use crate::retention::Keep;

const ORDER: RunId = run(1);
const SHIP: RunId = run(2);
const AGAIN: RunId = run(3);
const OTHER: RunId = run(4);

const fn run(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

/// The events that a commit adds to a run.
type Batch<'a> = (RunId, &'a [Body<'a>]);

/// A log of which only the index is kept.
struct Log {
    index: Index,
    end: u64,
}

impl Log {
    fn new() -> Self {
        Log { index: Index::default(), end: 4096 }
    }

    /// A parent, whose second event says that it has a child, and whose third is a request.
    fn of_a_family() -> Self {
        let mut log = Self::new();
        let request = Body::SignalExternalWorkflowExecutionInitiated(to_nobody());
        log.commit(&[(ORDER, &[started(ORDER), initiated(), request, initiated()])]).unwrap();
        log.commit(&[(ORDER, &[begins(SHIP, 2)]), (SHIP, &[child_of(SHIP, ORDER, 2)])]).unwrap();
        log
    }

    /// Takes in a commit, if it is not refused. Runs that are not known begin; by a reset, if their
    /// first event says so.
    fn commit(&mut self, batches: &[Batch<'_>]) -> Result<(), Refusal> {
        self.commit_and_delete(batches, &[])
    }

    fn delete(&mut self, run: RunId, keep: Keep) -> Result<(), Refusal> {
        self.commit_and_delete(&[], &[(run, keep)])
    }

    fn commit_and_delete(
        &mut self,
        batches: &[Batch<'_>],
        deletions: &[(RunId, Keep)],
    ) -> Result<(), Refusal> {
        let mut payload = Buffer::new();
        let mut begin = self.index.runs.next().unwrap();
        for (run, bodies) in batches {
            let mut events = Buffer::new();
            for body in *bodies {
                encode(&NewEvent::new(*body), Timestamp::default(), &mut events).unwrap();
            }
            let known = self.index.runs.number(run);
            let state = |number| *self.index.runs.get(number).unwrap().state.latest();
            let (number, first, previous, before) = match (known, bodies[0]) {
                (Some(number), _) => {
                    let state = state(number);
                    (number, state.next_event, state.last_batch, state.bytes)
                }
                (None, Body::WorkflowReset(reset)) => {
                    let base = self.index.runs.number(&reset.base_run_id).unwrap();
                    (begin, SHARED + 1, state(base).last_batch, 100)
                }
                (None, _) => (begin, 1, Position::START, 0),
            };
            if known.is_none() {
                begin = begin.next().unwrap();
            }
            let count = u16::try_from(bodies.len()).unwrap();
            let bytes = before + u32::try_from(events.len()).unwrap();
            write_batch_header(&mut payload, number, first, count, previous, bytes);
            payload.extend_from_slice(&events);
        }
        for (run, keep) in deletions {
            write_put(&mut payload, DELETED_TABLE, run.as_bytes(), Some(&[keep.number()]));
        }
        self.take(&payload, u16::try_from(batches.len()).unwrap())
    }

    fn take(&mut self, bytes: &[u8], batches: u16) -> Result<(), Refusal> {
        let commit = Position::from_u64(self.end);
        let end = commit.plus(24 + bytes.len() as u64);
        let payload =
            Payload { bytes, position: commit.plus(20), batches, commit, end, cut: false };
        self.index.check(payload)?;
        self.index.apply(payload, end).unwrap();
        self.end = end.as_u64();
        if let Err(found) = self.index.prove() {
            panic!("{}: {} instead of {}", found.what, found.found, found.expected);
        }
        Ok(())
    }
}

/// The last event that a reset shares: the parent's first three.
const SHARED: u32 = 3;

fn started(run: RunId) -> Body<'static> {
    Body::WorkflowExecutionStarted(Started {
        run_id: run,
        first_run_id: run,
        namespace: "shop",
        workflow_id: "w",
        ..Default::default()
    })
}

fn child_of(run: RunId, parent: RunId, initiated: u32) -> Body<'static> {
    let Body::WorkflowExecutionStarted(started) = started(run) else { unreachable!() };
    Body::WorkflowExecutionStarted(Started {
        parent_run_id: Some(parent),
        parent_initiated_event_id: initiated,
        root_run_id: Some(parent),
        ..started
    })
}

fn initiated() -> Body<'static> {
    Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
        workflow_id: "ship",
        close_policy: ParentClosePolicy::Abandon,
        ..Default::default()
    })
}

fn begins(run_id: RunId, initiated_event_id: u32) -> Body<'static> {
    Body::ChildWorkflowExecutionStarted(ChildStarted { run_id, initiated_event_id })
}

fn reset(run_id: RunId, base_run_id: RunId) -> Body<'static> {
    let (reason, request_id) = ("", "");
    let open_activities = EventIds::from_bytes(&[]);
    Body::WorkflowReset(Reset { run_id, base_run_id, reason, request_id, open_activities })
}

fn yields(to: RunId) -> Body<'static> {
    let terminated = Terminated { reason: "reset", reset_run_id: Some(to) };
    Body::WorkflowExecutionTerminated(terminated)
}

fn to_nobody() -> ExternalInitiated<'static> {
    ExternalInitiated { workflow_id: "nobody", ..Default::default() }
}

fn signaled(initiated_event_id: u32) -> Body<'static> {
    Body::ExternalWorkflowExecutionSignaled(ExternalResolved {
        initiated_event_id,
        cause: ExternalFailedCause::Unspecified,
    })
}

fn canceled(initiated_event_id: u32) -> Body<'static> {
    Body::ExternalWorkflowExecutionCancelRequested(ExternalResolved {
        initiated_event_id,
        cause: ExternalFailedCause::Unspecified,
    })
}

fn closed() -> Body<'static> {
    Body::WorkflowExecutionTerminated(Terminated { reason: "", reset_run_id: None })
}

/// Whether a commit is taken in by the log of a family.
fn takes(batches: &[Batch<'_>]) -> bool {
    Log::of_a_family().commit(batches).is_ok()
}

#[test]
fn a_reset_repeats_the_start_of_a_child_that_it_takes_over() {
    let yields = (ORDER, &[yields(AGAIN)][..]);
    let again = reset(AGAIN, ORDER);
    assert!(takes(&[yields, (AGAIN, &[again, begins(SHIP, 2)])]));
    assert!(!takes(&[yields, (AGAIN, &[again])]), "the child would be started again");
    assert!(!takes(&[yields, (AGAIN, &[again, begins(ORDER, 2)])]), "another child");
    // A run that begins here is another child, whatever it says.
    let other = [child_of(OTHER, AGAIN, 2)];
    assert!(!takes(&[yields, (AGAIN, &[again, begins(OTHER, 2)]), (OTHER, &other)]));
}

#[test]
fn a_child_begins_in_the_commit_of_its_parents_reset() {
    let yields = (ORDER, &[yields(AGAIN)][..]);
    // Event 4 is the reset, 5 the start of the child that was taken over, 6 initiates another one.
    let events = [reset(AGAIN, ORDER), begins(SHIP, 2), initiated(), begins(OTHER, 6)];
    let other = [child_of(OTHER, AGAIN, 6)];
    assert!(takes(&[yields, (AGAIN, &events), (OTHER, &other)]));
    // Event 4 of the base run initiated a child as well, which is not shared.
    let mut log = Log::of_a_family();
    log.commit(&[(ORDER, &[begins(OTHER, 4)]), (OTHER, &[child_of(OTHER, ORDER, 4)])]).unwrap();
    let events = [reset(AGAIN, ORDER), begins(SHIP, 2), initiated(), begins(OTHER, 6)];
    assert!(log.commit(&[yields, (AGAIN, &events)]).is_err(), "the child of another event");
}

#[test]
fn a_relation_of_the_same_number_is_no_other_runs() {
    // Events 4 of the base run and of the new one initiate a child each; the base run's has started.
    let mut log = Log::new();
    log.commit(&[(ORDER, &[started(ORDER), initiated(), initiated(), initiated(), initiated()])])
        .unwrap();
    log.commit(&[(ORDER, &[begins(SHIP, 5)]), (SHIP, &[child_of(SHIP, ORDER, 5)])]).unwrap();
    let again = [reset(AGAIN, ORDER), initiated(), begins(SHIP, 5)];
    assert!(log.commit(&[(ORDER, &[yields(AGAIN)]), (AGAIN, &again)]).is_err());
}

#[test]
fn the_base_run_of_a_reset_says_nothing_more_than_that_it_yields() {
    let again = (AGAIN, &[reset(AGAIN, ORDER), begins(SHIP, 2)][..]);
    let closed = Body::WorkflowExecutionTerminated(Terminated { reason: "", reset_run_id: None });
    assert!(takes(&[(ORDER, &[yields(AGAIN)]), again]));
    assert!(!takes(&[(ORDER, &[closed]), again]), "closed by itself");
    assert!(!takes(&[(ORDER, &[signaled(3), yields(AGAIN)]), again]), "with an answer");
    assert!(!takes(&[(ORDER, &[signaled(3)]), again]), "open");
}

#[test]
fn a_request_that_a_reset_has_taken_is_not_answered_where_it_was() {
    let mut log = Log::of_a_family();
    // Whether a workflow id was free is not checked: the base run stays open.
    log.commit(&[(AGAIN, &[reset(AGAIN, ORDER), begins(SHIP, 2)])]).unwrap();
    assert!(log.commit(&[(ORDER, &[signaled(3)])]).is_err());
    log.commit(&[(AGAIN, &[signaled(3)])]).unwrap();
    assert!(log.commit(&[(AGAIN, &[signaled(3)])]).is_err(), "twice");
}

#[test]
fn the_beginning_of_a_reset_may_answer_what_is_shared_and_nothing_else() {
    let begin = |answers: &[Body<'_>]| {
        let events = [&[reset(AGAIN, ORDER), begins(SHIP, 2)], answers].concat();
        takes(&[(ORDER, &[yields(AGAIN)]), (AGAIN, &events)])
    };
    assert!(begin(&[signaled(3)]));
    assert!(!begin(&[canceled(3)]), "an answer of another kind to a request that waits");
    assert!(!begin(&[signaled(3), signaled(3)]));
    assert!(!begin(&[signaled(0)]) && !begin(&[signaled(4)]));
    // What a shared event that waits for nothing is, only the history tells.
    assert!(begin(&[signaled(1)]));
    let mut log = Log::of_a_family();
    log.commit(&[(AGAIN, &[reset(AGAIN, ORDER), begins(SHIP, 2)])]).unwrap();
    assert!(log.commit(&[(AGAIN, &[signaled(1)])]).is_err(), "not after the beginning");
}

#[test]
fn a_run_is_asked_to_cancel_once_with_or_without_a_record() {
    let typed = Body::WorkflowExecutionCancelRequested(CancelRequested::default());
    let opaque = Body::Opaque(EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED);
    for (first, second) in [(typed, opaque), (opaque, typed), (opaque, opaque), (typed, typed)] {
        assert!(!takes(&[(ORDER, &[first, second])]), "{first:?}, {second:?} at once");
        let mut log = Log::of_a_family();
        log.commit(&[(ORDER, &[first])]).unwrap();
        assert!(log.commit(&[(ORDER, &[second])]).is_err(), "{first:?}, {second:?}");
    }
}

#[test]
fn a_namespace_has_a_name_of_at_most_255_bytes() {
    let name = "n".repeat(256);
    for (namespace, sound) in [(&name[..0], false), (&name[..255], true), (&name, false)] {
        for imported in [false, true] {
            let Body::WorkflowExecutionStarted(it) = started(ORDER) else { unreachable!() };
            let it = Body::WorkflowExecutionStarted(Started { namespace, imported, ..it });
            assert_eq!(Log::new().commit(&[(ORDER, &[it])]).is_ok(), sound, "{}", namespace.len());
        }
        let mut row = Buffer::new();
        let limits = Settings::default().encode();
        write_put(&mut row, NAMESPACES_TABLE, namespace.as_bytes(), Some(&limits));
        assert_eq!(Log::new().take(&row, 0).is_ok(), sound, "a row of {}", namespace.len());
    }
}

#[test]
fn a_run_is_deleted_that_had_closed_and_further_each_time() {
    let mut log = Log::of_a_family();
    let gone = |log: &mut Log, keep| log.delete(ORDER, keep).is_ok();
    assert!(log.delete(OTHER, Keep::Nothing).is_err(), "a run that is not there");
    assert!(!gone(&mut log, Keep::Outcome) && !gone(&mut log, Keep::Nothing), "an open one");
    let closes: Batch<'_> = (ORDER, &[closed()]);
    assert!(log.commit_and_delete(&[closes], &[(ORDER, Keep::Outcome)]).is_err(), "closing");
    let begins: Batch<'_> = (OTHER, &[started(OTHER), closed()]);
    assert!(log.commit_and_delete(&[begins], &[(OTHER, Keep::Outcome)]).is_err(), "beginning");
    log.commit(&[closes]).unwrap();
    assert!(gone(&mut log, Keep::Outcome) && !gone(&mut log, Keep::Outcome));
    assert!(gone(&mut log, Keep::Nothing));
    assert!(!gone(&mut log, Keep::Nothing) && !gone(&mut log, Keep::Outcome));
    let mut row = Buffer::new();
    for (key, value) in [(&[1; 15][..], &[0][..]), (&[1; 16], &[0, 0]), (&[1; 16], &[2])] {
        row.clear();
        write_put(&mut row, DELETED_TABLE, key, Some(value));
        assert!(log.take(&row, 0).is_err(), "a row that says nothing");
    }
    row.clear();
    write_put(&mut row, DELETED_TABLE, ORDER.as_bytes(), None);
    assert!(log.take(&row, 0).is_err(), "nothing is undeleted");
}

#[test]
fn no_reset_is_based_on_a_deleted_run_or_shares_a_commit_with_a_deletion() {
    let again: Batch<'_> = (AGAIN, &[reset(AGAIN, ORDER), begins(SHIP, 2)]);
    let family = || {
        let mut log = Log::of_a_family();
        log.commit(&[(ORDER, &[closed()]), (OTHER, &[started(OTHER), closed()])]).unwrap();
        log
    };
    family().commit(&[again]).unwrap();
    assert!(family().commit_and_delete(&[again], &[(OTHER, Keep::Outcome)]).is_err());
    for keep in [Keep::Outcome, Keep::Nothing] {
        let mut log = family();
        log.delete(ORDER, keep).unwrap();
        assert!(log.commit(&[again]).is_err(), "a base run of which {keep:?} is kept");
    }
}

#[test]
fn a_reset_takes_on_no_child_of_which_nothing_is_kept() {
    let again: Batch<'_> = (AGAIN, &[reset(AGAIN, ORDER), begins(SHIP, 2)]);
    for (keep, sound) in [(Keep::Outcome, true), (Keep::Nothing, false)] {
        let mut log = Log::of_a_family();
        log.commit(&[(SHIP, &[closed()])]).unwrap();
        assert!(log.delete(SHIP, keep).is_err(), "the parent waits for the outcome");
        log.commit(&[(ORDER, &[closed()])]).unwrap();
        log.delete(SHIP, keep).unwrap();
        assert_eq!(log.commit(&[again]).is_ok(), sound, "{keep:?}");
    }
}
