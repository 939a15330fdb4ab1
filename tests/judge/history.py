"""Reads the server's histories: the fields that speak of relations, by the judge's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from temporalio.api.history.v1 import HistoryEvent

RESET_CAUSE = 20


def is_task(event: HistoryEvent) -> bool:
    """Whether an event is one of a workflow task; the mark of a reset is none."""
    if event.event_type == 9:
        return event.workflow_task_failed_event_attributes.cause != RESET_CAUSE
    return event.event_type in (5, 6, 7, 8)


def next_runs(history: list[HistoryEvent], workflow: str, prefix: str) -> Iterator[tuple[str, str]]:
    """The runs that a history says have begun, each with its workflow."""
    for event in history:
        if event.event_type in (2, 3, 4, 28):
            run = attributes(event).new_execution_run_id
            if run:
                yield workflow, run
        elif event.event_type == 31:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            yield child.workflow_id.removeprefix(prefix), child.run_id


def attributes(event: HistoryEvent) -> Any:
    """The attributes of an event, whatever its kind."""
    return getattr(event, event.WhichOneof("attributes") or "")


def fields_of(event: HistoryEvent, prefix: str, run: str) -> dict[str, Any]:
    """What an event of `run` says of relations."""
    if event.event_type == 9 and is_task(event):
        return {}
    fields = _FIELDS.get(event.event_type, lambda _: {})(attributes(event))
    if event.event_type == 1:
        # Of a run without parent, the root is not named.
        fields["original_run"] = fields["original_run"] or run
    # Where nobody gives a request an id, the server draws one.
    if "request" in fields and not fields["request"].startswith(prefix):
        fields["request"] = ""
    return {
        name: value.removeprefix(prefix) if isinstance(value, str) else value
        for name, value in fields.items()
    }


def _started(a: Any) -> dict[str, Any]:
    return {
        "workflow": a.workflow_id,
        "first_run": a.first_execution_run_id,
        "original_run": a.original_execution_run_id,
        "continued_run": a.continued_execution_run_id or None,
        "parent_workflow": a.parent_workflow_execution.workflow_id,
        "parent_run": a.parent_workflow_execution.run_id or None,
        "parent_initiated": a.parent_initiated_event_id,
        "root_workflow": a.root_workflow_execution.workflow_id,
        "root_run": a.root_workflow_execution.run_id or None,
        "initiator": a.initiator,
        "attempt": a.attempt,
    }


def _completed(a: Any) -> dict[str, Any]:
    return {"new_run": a.new_execution_run_id or None}


def _failed(a: Any) -> dict[str, Any]:
    return {"new_run": a.new_execution_run_id or None, "retry_state": a.retry_state}


def _reset(a: Any) -> dict[str, Any]:
    return {"base_run": a.base_run_id, "new_run": a.new_run_id, "reason": a.failure.message}


def _cancel_requested(a: Any) -> dict[str, Any]:
    return {
        "external_workflow": a.external_workflow_execution.workflow_id,
        "external_run": a.external_workflow_execution.run_id or None,
        "external_initiated": a.external_initiated_event_id,
    }


def _signaled(a: Any) -> dict[str, Any]:
    return {
        "signal": a.signal_name,
        "request": a.request_id,
        "external_run": a.external_workflow_execution.run_id or None,
    }


def _external(a: Any) -> dict[str, Any]:
    return {
        "target": a.workflow_execution.workflow_id,
        "target_run": a.workflow_execution.run_id or None,
        "signal": getattr(a, "signal_name", ""),
        "child_only": a.child_workflow_only,
    }


def _resolved(a: Any) -> dict[str, Any]:
    return {"initiated_event": a.initiated_event_id, "cause": getattr(a, "cause", 0)}


def _child_initiated(a: Any) -> dict[str, Any]:
    return {
        "target": a.workflow_id,
        "policy": a.parent_close_policy,
        "reuse": a.workflow_id_reuse_policy,
    }


def _child_started(a: Any) -> dict[str, Any]:
    return {"initiated_event": a.initiated_event_id, "child_run": a.workflow_execution.run_id}


def _child_closed(a: Any) -> dict[str, Any]:
    return {
        "initiated_event": a.initiated_event_id,
        "started_event": a.started_event_id,
        "child_run": a.workflow_execution.run_id,
        "retry_state": getattr(a, "retry_state", 0),
    }


_FIELDS = {
    1: _started,
    2: _completed,
    3: _failed,
    4: _failed,
    9: _reset,
    20: _cancel_requested,
    22: _external,
    23: _resolved,
    24: _resolved,
    26: _signaled,
    27: lambda a: {"reason": a.reason},
    28: lambda a: {"new_run": a.new_execution_run_id, "initiator": a.initiator},
    29: _child_initiated,
    30: _resolved,
    31: _child_started,
    **dict.fromkeys((32, 33, 34, 35, 36), _child_closed),
    37: _external,
    38: _resolved,
    39: _resolved,
}
