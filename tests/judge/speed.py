"""An anchor of speed: workflows of one activity each, and a parent of as many children.

On a Temporal development server in memory and on a file, and on the engine of examples/engine.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from driver import ROOT
from server import running

QUEUE = "speed"


@activity.defn
def echo(text: str) -> str:
    """Gives back what it gets."""
    return text


@workflow.defn(name="One", sandboxed=False)
class One:
    """Runs one activity."""

    @workflow.run
    async def run(self) -> str:
        minute = timedelta(minutes=1)
        return await workflow.execute_activity(echo, "hello", start_to_close_timeout=minute)


@workflow.defn(name="Parent", sandboxed=False)
class Parent:
    """Starts children, all at once, and waits for them."""

    @workflow.run
    async def run(self, children: int) -> None:
        ids = [f"{workflow.info().workflow_id}-{number}" for number in range(children)]
        await asyncio.gather(*(workflow.execute_child_workflow("One", id=id) for id in ids))


async def measure(client: Client, workflows: int, children: int) -> str:
    """Workflows in a second, and the seconds of a parent."""
    with ThreadPoolExecutor(8) as pool:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[One, Parent],
            activities=[echo],
            activity_executor=pool,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            began = time.monotonic()
            await asyncio.gather(
                *(
                    client.execute_workflow("One", id=f"one-{number}", task_queue=QUEUE)
                    for number in range(workflows)
                )
            )
            alone = time.monotonic() - began
            began = time.monotonic()
            await client.execute_workflow("Parent", children, id="parent", task_queue=QUEUE)
            family = time.monotonic() - began
    return f"{workflows / alone:.1f} workflows/s, {family:.1f} s"


async def main() -> None:
    """Measures all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflows", type=int, default=200)
    parser.add_argument("--children", type=int, default=200)
    asked = parser.parse_args()
    sizes = (asked.workflows, asked.children)
    # As many children as Temporal allows.
    async with running(limits=False) as client:
        print("server, in memory:", await measure(client, *sizes))
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory) / "temporal.db", limits=False) as client:
            print("server, SQLite on a file:", await measure(client, *sizes))
    words = ["cargo", "run", "--release", "--quiet", "--example", "engine", "--", "--speed"]
    print("examples/engine:", flush=True)
    subprocess.run([*words, *map(str, sizes)], cwd=ROOT, check=True)


if __name__ == "__main__":
    asyncio.run(main())
