"""Takes programs on both sides, many at a time, and compares what came of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import reading
from compare import Difference, differences
from driver import Driver, Played
from facts import normal
from known import Known, explain
from program import Program
from replay import Replays
from temporal import Ran, Session
from workflow import TASK_QUEUE, Judged

# At a time: on two processors, more take no less time. Those that only wait come on top.
PROGRAMS = 24
WAITING = 32


@dataclass
class Verdict:
    """What judging a program came to."""

    name: str
    program: Program
    known: tuple[str, ...] = ()
    # A known difference after which nothing is compared.
    wide: bool = False
    new: tuple[str, ...] = ()
    runs: int = 0
    again: bool = False

    @property
    def passes(self) -> bool:
        """Whether there is nothing new."""
        return not self.new


@dataclass
class Court:
    """Both sides."""

    client: Client
    driver: Driver
    known: list[Known]
    replays: Replays
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROGRAMS))
    _waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WAITING))

    @classmethod
    @contextlib.asynccontextmanager
    async def sitting(
        cls, client: Client, driver: Driver, known: list[Known]
    ) -> AsyncIterator[Court]:
        """With a worker on the server."""
        runner = UnsandboxedWorkflowRunner()
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[Judged],
            workflow_runner=runner,
            max_cached_workflows=1000,
        ):
            yield cls(client, driver, known, Replays(driver))

    async def judge_all(self, programs: dict[str, Program]) -> list[Verdict]:
        """Judges programs side by side."""
        return await asyncio.gather(*(self.judge(*named) for named in programs.items()))

    async def judge(self, name: str, program: Program) -> Verdict:
        """Judges one program. What is new must be so twice: a server that is late once is not."""
        verdict = await self._once(name, program)
        if not verdict.passes:
            verdict = replace(await self._once(name, program), again=True)
        return verdict

    async def _once(self, name: str, program: Program) -> Verdict:
        played, ran, found = await self._compare(program)
        explained = explain(self.known, program, found)
        new = [str(each) for each in explained.new]
        if explained.wide and ran.strayed is not None:
            new += await self._up_to(program, ran.strayed)
        elif explained.wide and not explained.chance:
            new += ["the runs were as expected after each step, but:", *map(str, found)]
        new += await self.replays.check(ran, played)
        known, runs = explained.known, len(ran.histories)
        return Verdict(name, program, known, explained.wide, tuple(new), runs)

    async def _up_to(self, program: Program, strayed: int) -> list[str]:
        """What is new before the step where a program went another way."""
        begin = Program(program.steps[: strayed - 1])
        if not begin.steps:
            return []
        _, _, found = await self._compare(begin)
        explained = explain(self.known, begin, found)
        new = [f"before step {strayed}: {each}" for each in explained.new]
        return new + [f"before step {strayed}: {explained.known}"] * explained.wide

    async def _compare(self, program: Program) -> tuple[Played, Ran, list[Difference]]:
        waits = any(step.verb == "time-out" for step in program.steps)
        async with self._waiting if waits else self._gate:
            played = await asyncio.to_thread(self.driver.play, program)
            session = Session(self.client, program)
            try:
                ran = await session.run(played.after)
            finally:
                await session.end()
        server = normal(reading.facts(ran, session.prefix))
        return played, ran, differences(server, normal(played.facts))

    def keep(self, directory: Path) -> None:
        """Writes the histories that were replayed."""
        self.replays.keep(directory)
