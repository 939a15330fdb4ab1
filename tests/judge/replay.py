"""Histories in and out: through a store, and through the replayer of Temporal's own SDK."""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.api.history.v1 import History
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from driver import Driver, Played
from temporal import Ran
from workflow import Judged

TASK_COMPLETED = 7
MARKER = 25


class Replays:
    """Checks the histories of programs, and keeps them."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        runner = UnsandboxedWorkflowRunner()
        self._replayer = Replayer(workflows=[Judged], workflow_runner=runner)
        self._kept: list[tuple[str, bytes]] = []

    async def check(self, ran: Ran, played: Played) -> list[str]:
        """What is wrong with the histories of a program: those of the server, which must come out of a
        store as they went in, and those that kinlog wrote."""
        wrong: list[str] = []
        for run, events in ran.histories.items():
            history = History(events=events)
            encoded = history.SerializeToString(deterministic=True)
            out = await asyncio.to_thread(self._driver.round_trip, encoded)
            exported = History.FromString(out)
            if exported != history:
                wrong.append(f"the server's run {run} is another one after import and export")
            wrong += await self._replay(f"server-{run}", exported)
        flags = _flags(ran)
        for number, encoded in enumerate(played.histories, 1):
            history = History.FromString(encoded)
            for event in history.events:
                if event.event_type == TASK_COMPLETED:
                    completed = event.workflow_task_completed_event_attributes
                    completed.sdk_metadata.CopyFrom(flags)
            # What has no typed body is a marker, which this workflow did not ask for.
            if not any(event.event_type == MARKER for event in history.events):
                wrong += await self._replay(f"kinlog-{number}", history)
        return wrong

    def keep(self, directory: Path) -> None:
        """Writes all histories that were replayed, as protobuf."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, encoded in self._kept:
            (directory / f"{name}.pb").write_bytes(encoded)

    async def _replay(self, name: str, history: History) -> list[str]:
        self._kept.append((name, history.SerializeToString(deterministic=True)))
        recorded = WorkflowHistory("replayed", list(history.events))
        result = await self._replayer.replay_workflow(recorded, raise_on_replay_failure=False)
        failure = result.replay_failure
        return [f"{name} does not replay: {failure}"] if failure else []


def _flags(ran: Ran) -> WorkflowTaskCompletedMetadata:
    """What a worker says of itself in its workflow tasks: which of its own ways it goes."""
    for history in ran.histories.values():
        for event in history:
            if event.event_type == TASK_COMPLETED:
                return event.workflow_task_completed_event_attributes.sdk_metadata
    return WorkflowTaskCompletedMetadata()
