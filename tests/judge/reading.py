"""What the server's histories and descriptions come to: the plainest reading of them."""

from __future__ import annotations

from typing import Any

from temporalio.api.history.v1 import HistoryEvent

from facts import Event, Facts, Run
from history import attributes, fields_of, is_task
from temporal import Ran

STATUSES = {
    1: "Running",
    2: "Completed",
    3: "Failed",
    4: "Canceled",
    5: "Terminated",
    6: "ContinuedAsNew",
    7: "TimedOut",
}
POLICIES = {1: "Terminate", 2: "Abandon", 3: "RequestCancel"}
OUTCOMES = {32: "Completed", 33: "Failed", 34: "Canceled", 35: "TimedOut", 36: "Terminated"}


def facts(ran: Ran, prefix: str) -> Facts:
    """The facts about all runs of a program."""
    return Facts([_run(ran, run, prefix) for run in ran.histories], ran.answers)


def _run(ran: Ran, run: str, prefix: str) -> Run:
    described = ran.described[run]
    info = described.workflow_execution_info
    workflow = info.execution.workflow_id.removeprefix(prefix)
    history = ran.histories[run]
    is_open = info.status == 1
    events = [
        Event(event.event_id, event.event_type, fields_of(event, prefix, run), is_task(event))
        for event in history
    ]
    return Run(
        run=run,
        workflow=workflow,
        status=STATUSES[info.status],
        cancel_requested=any(event.event_type == 20 for event in history),
        is_current=ran.current[workflow] == run,
        first_run=info.first_run_id,
        chain=_chain(ran, info.first_run_id),
        parent_run=info.parent_execution.run_id or None,
        root_run=info.root_execution.run_id or run,
        children=_children(ran, run, prefix),
        pending_children=sorted(
            child.workflow_id.removeprefix(prefix)
            for child in described.pending_children
            if is_open
        ),
        open_activities=len(described.pending_activities) if is_open else 0,
        events=events,
    )


def _chain(ran: Ran, first: str) -> list[str]:
    return [
        run
        for run, described in ran.described.items()
        if described.workflow_execution_info.first_run_id == first
    ]


def _children(ran: Ran, run: str, prefix: str) -> list[dict[str, Any]]:
    return [
        _child(ran, run, event, prefix) for event in ran.histories[run] if event.event_type == 29
    ]


def _child(ran: Ran, run: str, initiated: HistoryEvent, prefix: str) -> dict[str, Any]:
    told = attributes(initiated)
    answers: dict[int, Any] = {
        event.event_type: attributes(event)
        for event in ran.histories[run]
        if 30 <= event.event_type <= 36
        and attributes(event).initiated_event_id == initiated.event_id
    }
    first = answers[31].workflow_execution.run_id if 31 in answers else None
    chain = [ran.described[each] for each in _chain(ran, first)] if first else []
    last = chain[-1].workflow_execution_info if chain else None
    ended = STATUSES[last.status] if last and last.status != 1 else None
    outcome = next((OUTCOMES[kind] for kind in answers if kind in OUTCOMES), None)
    if 30 in answers:
        state = "StartFailed"
    elif outcome:
        state = "Closed"
    elif _is_taken(ran, run, initiated):
        state = "Moved"
    elif last:
        state = "Closed" if ended else "Running"
    else:
        is_open = ran.described[run].workflow_execution_info.status == 1
        state = "Initiated" if is_open else "NeverStarted"
    return {
        "initiated_event": initiated.event_id,
        "workflow": told.workflow_id.removeprefix(prefix),
        "policy": POLICIES[told.parent_close_policy],
        "state": state,
        "outcome": outcome or ended,
        "reported": outcome is not None,
        "first_run": first,
        "current_run": last.execution.run_id if last else None,
    }


def _is_taken(ran: Ran, run: str, initiated: HistoryEvent) -> bool:
    """Whether a run that began later shares the event that initiated a child."""
    runs = list(ran.histories)
    later = runs[runs.index(run) + 1 :]
    return any(_same(event, initiated) for other in later for event in ran.histories[other])


def _same(one: HistoryEvent, other: HistoryEvent) -> bool:
    return one.task_id == other.task_id and one.event_id == other.event_id
