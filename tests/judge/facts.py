"""What one side says about the runs of a program, in one form for both sides.

Runs are named after their workflow and their place among its runs: `P#1`. Events of workflow
tasks are left out, and the others are numbered anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Of each run, by name, the kinds of its events, sorted.
Standing = dict[str, list[int]]


@dataclass
class Event:
    """An event. Fields that end in `run` name a run, in `event` an event of the same run."""

    id: int
    kind: int
    fields: dict[str, Any]
    is_task: bool = False


@dataclass
class Run:
    """A run and all that is known about it."""

    run: str
    workflow: str
    status: str
    cancel_requested: bool
    is_current: bool
    first_run: str
    chain: list[str]
    parent_run: str | None
    root_run: str
    children: list[dict[str, Any]]
    # The children whose end the run waits for.
    pending_children: list[str]
    open_activities: int
    events: list[Event]


@dataclass
class Facts:
    """All runs, the oldest of each workflow first, and what clients were answered."""

    runs: list[Run]
    answers: list[str] = field(default_factory=list)

    def names(self) -> dict[str, str]:
        """Each run's name."""
        names: dict[str, str] = {}
        seen: dict[str, int] = {}
        for run in self.runs:
            seen[run.workflow] = seen.get(run.workflow, 0) + 1
            names[run.run] = f"{run.workflow}#{seen[run.workflow]}"
        return names


def normal(facts: Facts) -> dict[str, Any]:
    """The facts without ids that are drawn, as a tree of plain values."""
    names = facts.names()
    numbers = {run.run: _numbers(run.events) for run in facts.runs}
    runs = {names[run.run]: _normal_run(run, names, numbers) for run in facts.runs}
    answers = [_renamed(answer, names) for answer in facts.answers]
    return {"answers": answers, "runs": dict(sorted(runs.items()))}


def _renamed(answer: str, names: dict[str, str]) -> str:
    verb, _, run = answer.partition(" ")
    return f"{verb} {names.get(run, '?')}" if run in names else answer


def _normal_run(run: Run, names: dict[str, str], numbers: dict[str, dict[int, int]]) -> Any:
    own = numbers[run.run]
    kept = {event.id: event for event in run.events if not event.is_task}
    events = [_normal_event(kept[at], run, names, numbers) for at in own]
    children = [
        {_short(name): _normal_value(name, value, own, names) for name, value in child.items()}
        for child in run.children
    ]
    return {
        "status": run.status,
        "cancel_requested": run.cancel_requested,
        "is_current": run.is_current,
        "first_run": _run_name(run.first_run, names),
        "chain": [_run_name(each, names) for each in run.chain],
        "parent_run": _run_name(run.parent_run, names),
        "root_run": _run_name(run.root_run, names),
        "pending_children": run.pending_children,
        "open_activities": run.open_activities,
        "children": sorted(children, key=lambda child: child["initiated"]),
        "events": events,
    }


def _normal_event(
    event: Event, run: Run, names: dict[str, str], numbers: dict[str, dict[int, int]]
) -> dict[str, Any]:
    own, fields = numbers[run.run], {}
    for name, value in event.fields.items():
        # These name an event of the run that is named beside them.
        if name in ("parent_initiated", "external_initiated"):
            other = event.fields.get(name.replace("initiated", "run"))
            fields[name] = numbers.get(other or "", {}).get(value, value)
        else:
            fields[_short(name)] = _normal_value(name, value, own, names)
    return {"kind": event.kind, **fields}


def _normal_value(name: str, value: Any, own: dict[int, int], names: dict[str, str]) -> Any:
    if name.endswith("_run"):
        return _run_name(value, names)
    if name.endswith("_event"):
        return own.get(value, value)
    return value


def _short(name: str) -> str:
    return name.removesuffix("_event")


def _run_name(run: str | None, names: dict[str, str]) -> str | None:
    return names.get(run, "?") if run else None


def _numbers(events: list[Event]) -> dict[int, int]:
    """The new number of each event that is kept, in the new order.

    What arrives between two steps comes in no order of its own, as it is on its way at the same
    time: it is sorted by what it answers. What the run itself did, and what a step did to it, stays
    where it is.
    """
    order: list[Event] = []
    arrivals: list[Event] = []
    for event in (event for event in events if not event.is_task):
        if is_arrival(event):
            arrivals.append(event)
            continue
        order += _sorted(arrivals) + [event]
        arrivals = []
    order += _sorted(arrivals)
    return {event.id: number for number, event in enumerate(order, 1)}


def is_arrival(event: Event) -> bool:
    """Whether an event came from another run."""
    if event.kind in (20, 26):
        return bool(event.fields.get("external_run"))
    return 30 <= event.kind <= 36 or event.kind in (23, 24, 38, 39)


def _sorted(arrivals: list[Event]) -> list[Event]:
    # Of one relation, in the order in which they stand.
    return sorted(arrivals, key=lambda event: event.fields.get("initiated_event", 0))
