"""The one workflow that all programs are made of: it does what signals tell it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from program import Command, Options, Step, parse

TASK_QUEUE = "judge"
# Nobody works there: an activity stays open.
NO_WORKER = "judge-nobody"
ATTEMPTS = 2
RUN_TIMEOUT = timedelta(seconds=10)
LONG = timedelta(hours=1)

_REUSES = {
    "": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    "allow": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    "failed-only": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    "reject": WorkflowIDReusePolicy.REJECT_DUPLICATE,
    "terminate-if-running": WorkflowIDReusePolicy.TERMINATE_IF_RUNNING,
}
_POLICIES = {
    "terminate": workflow.ParentClosePolicy.TERMINATE,
    "abandon": workflow.ParentClosePolicy.ABANDON,
    "request-cancel": workflow.ParentClosePolicy.REQUEST_CANCEL,
}


def retry_policy(options: Options) -> RetryPolicy | None:
    """A second attempt, at once."""
    if not options.retry:
        return None
    return RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=ATTEMPTS)


@workflow.defn(name="Judged", sandboxed=False)
class Judged:
    """Takes steps of a program, each in one workflow task."""

    def __init__(self) -> None:
        self._told: list[tuple[str, Step]] = []
        self._children: dict[str, workflow.ChildWorkflowHandle[Any, Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._canceled = False

    @workflow.run
    async def run(self) -> None:
        while True:
            try:
                await workflow.wait_condition(lambda: bool(self._told))
            except asyncio.CancelledError:
                self._canceled = True
                continue
            prefix, step = self._told.pop(0)
            for command in step.commands:
                if command.verb == "complete":
                    return
                await self._do(command, prefix)

    @workflow.signal
    def tell(self, told: tuple[str, int, str]) -> None:
        """A step of the program: what workflow ids begin with, its number, and the step."""
        prefix, _, step = told
        self._told.append((prefix, parse(step).steps[0]))

    @workflow.signal
    def note(self) -> None:
        """Nothing."""

    @workflow.update
    def look(self) -> None:
        """Nothing."""

    async def _do(self, command: Command, prefix: str) -> None:
        if command.verb == "fail":
            raise ApplicationError("told to fail")
        if command.verb == "continue":
            workflow.continue_as_new()
        if command.verb == "canceled":
            if self._canceled:
                raise asyncio.CancelledError
            return
        self._tasks.append(asyncio.create_task(self._outward(command, prefix + command.target)))
        # What the task asks for is among the commands before those that follow.
        await asyncio.sleep(0)

    async def _outward(self, command: Command, target: str) -> None:
        """Asks for something, and does not care what comes of it."""
        try:
            if command.verb == "child":
                await self._start_child(command, target)
            elif command.verb == "activity":
                await workflow.execute_activity(
                    "nothing", task_queue=NO_WORKER, schedule_to_close_timeout=LONG
                )
            elif command.verb == "signal":
                await workflow.get_external_workflow_handle(target).signal("note")
            elif command.verb == "cancel":
                await workflow.get_external_workflow_handle(target).cancel()
            elif command.verb == "signal-child" and target in self._children:
                await self._children[target].signal("note")
            elif command.verb == "cancel-child" and target in self._children:
                self._children[target].cancel()
        except (Exception, asyncio.CancelledError):
            pass

    async def _start_child(self, command: Command, target: str) -> None:
        options = command.options
        child = await workflow.start_child_workflow(
            "Judged",
            id=target,
            task_queue=TASK_QUEUE,
            parent_close_policy=_POLICIES[command.policy],
            id_reuse_policy=_REUSES[options.reuse],
            retry_policy=retry_policy(options),
            cron_schedule="@every 1s" if options.cron else "",
            run_timeout=RUN_TIMEOUT if options.timeout else None,
        )
        self._children[target] = child
        await child
