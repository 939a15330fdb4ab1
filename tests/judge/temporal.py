"""Runs programs on a Temporal server, and reads what came of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payloads, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    ResetReapplyExcludeType,
    UpdateWorkflowExecutionLifecycleStage,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client
from temporalio.converter import default
from temporalio.service import RPCError, RPCStatusCode

from facts import Standing
from history import is_task, next_runs
from program import Options, Program, Step
from workflow import ATTEMPTS, RUN_TIMEOUT, TASK_QUEUE

# As long as nothing has changed for so long, nothing more is to come.
QUIET_SECONDS = 2.5
# The longest that a workflow task was seen to be on its way is ten seconds.
STUCK_SECONDS = 20
POLL_SECONDS = 0.02
REASON = "judge"
COMPLETED = (
    UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
)
# Of runs, as the server numbers their statuses.
RUNNING, TIMED_OUT = 1, 7
# The kinds of events that end a run.
ENDS = (2, 3, 4, 21, 27, 28)
REUSES = {"": 1, "allow": 1, "failed-only": 2, "reject": 3, "terminate-if-running": 4}
CONFLICTS = {"": 0, "fail": 1, "use-existing": 2, "terminate-existing": 3}


@dataclass
class Ran:
    """What came of a program on the server; runs in the order in which they began."""

    answers: list[str] = field(default_factory=list)
    histories: dict[str, list[HistoryEvent]] = field(default_factory=dict)
    described: dict[str, api.DescribeWorkflowExecutionResponse] = field(default_factory=dict)
    # The number of the first step after which the runs were not as expected.
    strayed: int | None = None
    # For each workflow, its current run.
    current: dict[str, str] = field(default_factory=dict)


class Session:
    """One program on the server. Its workflow ids begin with a prefix of their own."""

    def __init__(self, client: Client, program: Program) -> None:
        self._service = client.workflow_service
        self._namespace = client.namespace
        self._program = program
        self.prefix = f"{uuid.uuid4().hex[:12]}-"
        self._runs: dict[str, list[str]] = {}
        self._workflows: dict[str, str] = {}
        self._histories: dict[str, list[HistoryEvent]] = {}

    async def run(self, after: list[Standing]) -> Ran:
        """Takes all steps; after each, waits for the runs to be as `after` says."""
        ran = Ran()
        for number, (step, expected) in enumerate(zip(self._program.steps, after, strict=True), 1):
            ran.answers.append(await self._take(number, step))
            if not await self._rest(expected) and ran.strayed is None:
                ran.strayed = number
        # What nobody expects has had the time of a step to come.
        await asyncio.sleep(QUIET_SECONDS / 2)
        await self._refresh()
        ran.histories = dict(self._histories)
        for run, workflow in self._workflows.items():
            ran.described[run] = await self._describe(workflow, run)
        for workflow in self._runs:
            description = await self._describe(workflow)
            ran.current[workflow] = description.workflow_execution_info.execution.run_id
        return ran

    async def end(self) -> None:
        """Terminates what still runs."""
        for run, workflow in self._workflows.items():
            try:
                await self._terminate(workflow, run)
            except RPCError:
                continue

    async def _take(self, number: int, step: Step) -> str:
        """Takes a step; what the client is answered."""
        try:
            if step.verb in ("start", "signal-with-start"):
                return await self._start(step)
            runs = self._runs.get(step.workflow, [])
            if not runs or step.run > len(runs):
                return "not found"
            run = runs[step.run - 1] if step.run else ""
            match step.verb:
                case "tell":
                    await self._signal(step, run, "tell", [(self.prefix, number, str(step))])
                case "signal":
                    await self._signal(step, run, "note", [])
                case "terminate":
                    await self._terminate(step.workflow, run)
                case "cancel":
                    await self._cancel(step.workflow, run)
                case "reset":
                    return await self._reset(step, run)
                case "update":
                    await self._update(step.workflow, run)
                case "time-out":
                    return await self._time_out(step.workflow, run)
                case other:
                    raise ValueError(f"no step: {other}")
            return "done"
        except RPCError as error:
            answers = {
                RPCStatusCode.NOT_FOUND: "not found",
                RPCStatusCode.ALREADY_EXISTS: "exists",
                RPCStatusCode.INVALID_ARGUMENT: "invalid",
            }
            if error.status in answers:
                return answers[error.status]
            raise

    async def _start(self, step: Step) -> str:
        options = step.options
        known: dict[str, Any] = dict(
            namespace=self._namespace,
            workflow_id=self.prefix + step.workflow,
            workflow_type=WorkflowType(name="Judged"),
            task_queue=TaskQueue(name=TASK_QUEUE),
            request_id=self._request(options),
            workflow_id_reuse_policy=WorkflowIdReusePolicy.ValueType(REUSES[options.reuse]),
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.ValueType(
                CONFLICTS[options.conflict]
            ),
            retry_policy=_retry(options),
            cron_schedule="@every 1s" if options.cron else "",
            workflow_run_timeout=_duration(RUN_TIMEOUT.seconds if options.timeout else 0),
        )
        found: Any
        if step.verb == "start":
            start = api.StartWorkflowExecutionRequest(**known)
            found = await self._service.start_workflow_execution(start)
        else:
            both = api.SignalWithStartWorkflowExecutionRequest(signal_name="note", **known)
            found = await self._service.signal_with_start_workflow_execution(both)
        if found.run_id in self._workflows:
            return f"found {found.run_id}"
        self._know(step.workflow, found.run_id)
        return "started"

    async def _signal(self, step: Step, run: str, name: str, values: list[Any]) -> None:
        request = api.SignalWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution(step.workflow, run),
            signal_name=name,
            input=_payloads(values),
            request_id=self._request(step.options) if step.options.request else "",
        )
        await self._service.signal_workflow_execution(request)

    async def _terminate(self, workflow: str, run: str) -> None:
        request = api.TerminateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution(workflow, run),
            reason=REASON,
        )
        await self._service.terminate_workflow_execution(request)

    async def _cancel(self, workflow: str, run: str) -> None:
        request = api.RequestCancelWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution(workflow, run),
            request_id=str(uuid.uuid4()),
        )
        await self._service.request_cancel_workflow_execution(request)

    async def _update(self, workflow: str, run: str) -> None:
        request = api.UpdateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution(workflow, run),
            wait_policy=WaitPolicy(lifecycle_stage=COMPLETED),
            request=Request(meta=Meta(update_id=str(uuid.uuid4())), input=Input(name="look")),
        )
        await self._service.update_workflow_execution(request)

    async def _reset(self, step: Step, run: str) -> str:
        base = run or await self._current(step.workflow)
        await self._refresh()
        point = _reset_point(self._histories[base], step)
        if point is None:
            return "no such point"
        request = api.ResetWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution(step.workflow, base),
            reason=REASON,
            workflow_task_finish_event_id=point,
            request_id=str(uuid.uuid4()),
            # An engine's own affair: kinlog does not tell a run again what it was told.
            reset_reapply_exclude_types=[
                ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
                ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
            ],
        )
        made = await self._service.reset_workflow_execution(request)
        self._know(step.workflow, made.run_id)
        return "done"

    async def _time_out(self, workflow: str, run: str) -> str:
        """Waits for the end of a run that has not the time to end by itself."""
        run = run or await self._current(workflow)
        started = await self._describe(workflow, run)
        if started.workflow_execution_info.status not in (RUNNING, TIMED_OUT):
            return "not found"
        end = time.monotonic() + 3 * RUN_TIMEOUT.seconds
        while time.monotonic() < end:
            described = await self._describe(workflow, run)
            if described.workflow_execution_info.status != RUNNING:
                return "done"
            await asyncio.sleep(0.1)
        return "still running"

    async def _rest(self, expected: Standing) -> bool:
        """Waits until the runs are as expected or, if they do not become so, no longer change."""
        changed, before = time.monotonic(), -1
        while True:
            await self._refresh()
            events = sum(map(len, self._histories.values()))
            if events != before:
                changed, before = time.monotonic(), events
            if self._standing() == expected and self._is_idle():
                return True
            quiet = time.monotonic() - changed
            if quiet > STUCK_SECONDS or (quiet > QUIET_SECONDS and not await self._is_busy()):
                return False
            await asyncio.sleep(POLL_SECONDS)

    def _standing(self) -> Standing:
        return {
            f"{workflow}#{number}": sorted(
                int(event.event_type) for event in self._histories[run] if not is_task(event)
            )
            for workflow, runs in self._runs.items()
            for number, run in enumerate(runs, 1)
        }

    def _is_idle(self) -> bool:
        """Whether each open run has had a workflow task, and has none before it, as far as the histories
        tell. The first one of a schedule comes late."""
        for history in self._histories.values():
            kinds = [event.event_type for event in history]
            if not kinds or not (kinds[-1] in ENDS or (7 in kinds and kinds[-1] not in (5, 6))):
                return False
        return True

    async def _is_busy(self) -> bool:
        """Whether a workflow task is on its way; one that has failed and is tried again is not."""
        for run, workflow in self._workflows.items():
            if not _is_end(self._histories[run][-1]):
                task = (await self._describe(workflow, run)).pending_workflow_task
                if task.state and task.attempt <= 1:
                    return True
        return False

    async def _refresh(self) -> None:
        """Reads all histories, and those of runs that they speak of."""
        todo = list(self._workflows)
        while todo:
            run = todo.pop(0)
            history = await self._history(self._workflows[run], run)
            self._histories[run] = history
            for workflow, other in next_runs(history, self._workflows[run], self.prefix):
                if other not in self._workflows:
                    self._know(workflow, other)
                    todo.append(other)

    def _know(self, workflow: str, run: str) -> None:
        self._workflows[run] = workflow
        self._histories[run] = []
        self._runs.setdefault(workflow, []).append(run)

    async def _history(self, workflow: str, run: str) -> list[HistoryEvent]:
        known = self._histories[run]
        if known and _is_end(known[-1]):
            return known
        request = api.GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace, execution=self._execution(workflow, run)
        )
        events: list[HistoryEvent] = []
        while True:
            page = await self._service.get_workflow_execution_history(request, retry=True)
            events += page.history.events
            if not page.next_page_token:
                return events
            request.next_page_token = page.next_page_token

    async def _current(self, workflow: str) -> str:
        description = await self._describe(workflow)
        return description.workflow_execution_info.execution.run_id

    async def _describe(
        self, workflow: str, run: str = ""
    ) -> api.DescribeWorkflowExecutionResponse:
        request = api.DescribeWorkflowExecutionRequest(
            namespace=self._namespace, execution=self._execution(workflow, run)
        )
        return await self._service.describe_workflow_execution(request, retry=True)

    def _execution(self, workflow: str, run: str) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self.prefix + workflow, run_id=run)

    def _request(self, options: Options) -> str:
        return self.prefix + options.request if options.request else str(uuid.uuid4())


def _is_end(event: HistoryEvent) -> bool:
    return event.event_type in ENDS


def _reset_point(history: list[HistoryEvent], step: Step) -> int | None:
    """The end of the workflow task in which a step was taken or, after it, of the last one before
    the next step."""
    reached, found = step.point == 0, None
    for event in history:
        told = event.workflow_execution_signaled_event_attributes
        if event.event_type == 26 and told.signal_name == "tell":
            if reached and found is not None:
                break
            reached |= _values(told.input)[0][1] == step.point
        elif event.event_type == 7 and reached:
            found = event.event_id
            if not step.after:
                break
    return found


def _payloads(values: list[Any]) -> Payloads:
    return Payloads(payloads=default().payload_converter.to_payloads(values))


def _values(payloads: Payloads) -> list[Any]:
    return default().payload_converter.from_payloads(payloads.payloads)


def _retry(options: Options) -> RetryPolicy | None:
    if not options.retry:
        return None
    return RetryPolicy(
        initial_interval=Duration(nanos=10_000_000),
        backoff_coefficient=1.0,
        maximum_attempts=ATTEMPTS,
    )


def _duration(seconds: int) -> Duration | None:
    return Duration(seconds=seconds) if seconds else None
