//! Workflows, replayed: a workflow is an async function that is run from its beginning again each
//! time something happened, and is told nothing but what the history of its run says.
//!
//! What it asks for is compared with what the history says it asked for. What goes beyond the
//! history is new, and is for the engine to append.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use kinlog::{Body, Event, EventKind, History, ParentClosePolicy};

use super::Result;

/// How a workflow, an activity or a child ends, if not with a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Failed(String),
    Canceled,
    ContinueAsNew(String),
}

pub(crate) type Outcome = Result<String, Stop>;
pub(crate) type Workflow = Pin<Box<dyn Future<Output = Outcome>>>;

/// What a workflow asks for: each is one event of its history.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Command {
    Activity { name: String, input: String },
    Timer { seconds: u32 },
    Child { id: String, workflow: String, policy: ParentClosePolicy, input: String },
    Signal { to: String, name: String, input: String },
}

impl Command {
    /// What the event says was asked for.
    pub(crate) fn told(event: &Event<'_>) -> Option<Self> {
        let input = text(event);
        Some(match event.body() {
            Body::ActivityTaskScheduled(b) => {
                Command::Activity { name: b.activity_type.into(), input }
            }
            Body::TimerStarted(_) => Command::Timer { seconds: input.parse().unwrap_or_default() },
            Body::StartChildWorkflowExecutionInitiated(b) => Command::Child {
                id: b.workflow_id.into(),
                workflow: b.workflow_type.into(),
                policy: b.close_policy,
                input,
            },
            Body::SignalExternalWorkflowExecutionInitiated(b) => {
                Command::Signal { to: b.workflow_id.into(), name: b.signal_name.into(), input }
            }
            _ => return None,
        })
    }
}

/// The engine's payloads are text.
pub(crate) fn text(event: &Event<'_>) -> String {
    String::from_utf8_lossy(event.payload()).into_owned()
}

/// A workflow's way to the world.
#[derive(Clone)]
pub(crate) struct Flow(Rc<RefCell<Tape>>);

/// What the history has told so far, and what the workflow has asked for.
#[derive(Default)]
struct Tape {
    /// What the history says was asked for and has not been asked for again yet, by event.
    told: VecDeque<(u32, Command)>,
    /// What was asked for beyond the history.
    new: Vec<Command>,
    /// Where the workflow left its history.
    astray: Option<String>,
    /// By the event that is answered.
    answers: HashMap<u32, Outcome>,
    signals: VecDeque<(String, String)>,
    canceled: bool,
}

impl Flow {
    pub(crate) fn activity(&self, name: &str, input: &str) -> Answer {
        self.ask(Command::Activity { name: name.into(), input: input.into() })
    }

    pub(crate) fn timer(&self, seconds: u32) -> Answer {
        self.ask(Command::Timer { seconds })
    }

    pub(crate) fn child(
        &self,
        id: &str,
        workflow: &str,
        policy: ParentClosePolicy,
        input: &str,
    ) -> Answer {
        let (id, workflow, input) = (id.into(), workflow.into(), input.into());
        self.ask(Command::Child { id, workflow, policy, input })
    }

    pub(crate) fn signal(&self, to: &str, name: &str, input: &str) -> Answer {
        self.ask(Command::Signal { to: to.into(), name: name.into(), input: input.into() })
    }

    /// The next signal of this name.
    pub(crate) async fn signaled(&self, name: &str) -> String {
        std::future::poll_fn(|_| {
            let signals = &mut self.0.borrow_mut().signals;
            let place = signals.iter().position(|(found, _)| found == name);
            let signal = place.and_then(|place| signals.remove(place));
            signal.map_or(Poll::Pending, |(_, input)| Poll::Ready(input))
        })
        .await
    }

    /// Ready when the run was asked to cancel.
    pub(crate) async fn canceled(&self) {
        std::future::poll_fn(|_| match self.0.borrow().canceled {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await
    }

    /// Asks at once, whether the answer is awaited or not.
    fn ask(&self, command: Command) -> Answer {
        let asked = self.0.borrow_mut().ask(command);
        Answer { tape: self.0.clone(), asked }
    }
}

/// What comes of what was asked for.
pub(crate) struct Answer {
    tape: Rc<RefCell<Tape>>,
    /// The event that asked; none as long as it is not in the history.
    asked: Option<u32>,
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        let answer = self.asked.and_then(|event| self.tape.borrow_mut().answers.remove(&event));
        answer.map_or(Poll::Pending, Poll::Ready)
    }
}

pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for whichever comes first.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(first) => Poll::Ready(Either::First(first)),
        Poll::Pending => second.as_mut().poll(context).map(Either::Second),
    })
    .await
}

impl Tape {
    /// The event that asked for this, if the history goes that far.
    fn ask(&mut self, command: Command) -> Option<u32> {
        match self.told.pop_front() {
            Some((event, told)) if told == command => Some(event),
            Some((event, told)) => {
                self.leave(format!("event {event} is {told:?}, but now it is {command:?}"));
                None
            }
            None => {
                self.new.push(command);
                None
            }
        }
    }

    fn leave(&mut self, how: String) {
        self.astray.get_or_insert(how);
    }

    /// Takes in an event; whether it is news to the workflow.
    fn hear(&mut self, event: &Event<'_>) -> bool {
        match event.body() {
            Body::WorkflowExecutionStarted(_) => {}
            Body::WorkflowExecutionSignaled(b) => {
                self.signals.push_back((b.signal_name.into(), text(event)));
            }
            Body::WorkflowExecutionCancelRequested(_) => self.canceled = true,
            body => {
                let answer = body.answers().zip(answer(event));
                let Some((asked, answer)) = answer else { return false };
                self.answers.insert(asked, answer);
            }
        }
        true
    }
}

/// What came of what was asked for, if the event says so.
fn answer(event: &Event<'_>) -> Option<Outcome> {
    let failed = |why: &str| Err(Stop::Failed(why.into()));
    Some(match event.kind() {
        EventKind::ACTIVITY_TASK_COMPLETED
        | EventKind::TIMER_FIRED
        | EventKind::CHILD_WORKFLOW_EXECUTION_COMPLETED
        | EventKind::EXTERNAL_WORKFLOW_EXECUTION_SIGNALED => Ok(text(event)),
        EventKind::ACTIVITY_TASK_FAILED | EventKind::CHILD_WORKFLOW_EXECUTION_FAILED => {
            failed(&text(event))
        }
        EventKind::CHILD_WORKFLOW_EXECUTION_CANCELED => Err(Stop::Canceled),
        EventKind::CHILD_WORKFLOW_EXECUTION_TIMED_OUT => failed("timed out"),
        EventKind::CHILD_WORKFLOW_EXECUTION_TERMINATED => failed("terminated"),
        EventKind::START_CHILD_WORKFLOW_EXECUTION_FAILED => failed("taken"),
        EventKind::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED => failed("nobody there"),
        _ => return None,
    })
}

/// What a replay comes to: what is to be appended to the history.
pub(crate) struct Turn {
    pub(crate) commands: Vec<Command>,
    pub(crate) outcome: Option<Outcome>,
}

/// Runs a workflow over its history, up to where it waits for what has not happened yet.
pub(crate) fn replay(
    history: &History,
    workflow: impl FnOnce(Flow, &str, String) -> Option<Workflow>,
) -> Result<Turn> {
    let tape = Rc::new(RefCell::new(Tape::default()));
    let mut input = String::new();
    for event in history {
        let event = event?;
        if event.id() == 1 {
            input = text(&event);
        }
        tape.borrow_mut().told.extend(Command::told(&event).map(|told| (event.id(), told)));
    }
    let workflow_type = history.started()?.workflow_type;
    let workflow = workflow(Flow(tape.clone()), workflow_type, input);
    let mut workflow = workflow.ok_or_else(|| format!("there is no workflow {workflow_type}"))?;
    let mut outcome = None;
    // One event at a time, as they happened: what won a race then wins it again.
    for event in history {
        if outcome.is_none() && tape.borrow_mut().hear(&event?) {
            outcome = match workflow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => None,
            };
        }
    }
    let mut tape = tape.borrow_mut();
    if let Some((event, told)) = tape.told.pop_front() {
        tape.leave(format!("event {event} is {told:?}, but now it is nothing"));
    }
    match tape.astray.take() {
        Some(how) => Err(format!("{workflow_type} has left its history: {how}").into()),
        None => Ok(Turn { commands: std::mem::take(&mut tape.new), outcome }),
    }
}
