"""The driver of kinlog: a process that plays programs on a store."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts import Event, Facts, Run, Standing
from program import Program

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ["cargo", "run", "--quiet", "-p", "kinlog-judge"]


class DriverFailed(RuntimeError):
    """The driver could not do what it was asked to."""


@dataclass
class Played:
    """What came of a program on kinlog."""

    facts: Facts
    # After each step: the kinds of each run's events, in no order, without those of workflow tasks.
    after: list[Standing]
    # The runs as Temporal histories, in protobuf.
    histories: list[bytes]


class Driver:
    """Talks to the process, one request at a time, from any thread."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._turn = threading.Lock()
        self._process = subprocess.Popen(COMMAND, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def play(self, program: Program) -> Played:
        """Plays a program on a store of its own."""
        answer = self._ask({"play": program.json()})
        runs = [_run(run) for run in answer["runs"]]
        facts = Facts(runs, answer["answers"])
        names = facts.names()
        after = [{names[run]: kinds for run, kinds in at.items()} for at in answer["after"]]
        return Played(facts, after, [base64.b64decode(each) for each in answer["histories"]])

    def round_trip(self, history: bytes) -> bytes:
        """Imports a history, in protobuf, and exports it again."""
        answer = self._ask({"round-trip": base64.b64encode(history).decode()})
        return base64.b64decode(answer["history"])

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self._process.stdin or not self._process.stdout:
            raise DriverFailed("the driver has no pipes")
        with self._turn:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        if not line:
            raise DriverFailed("the driver is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DriverFailed(answer["error"])
        return answer


def _run(run: dict[str, Any]) -> Run:
    run["events"] = [Event(**event) for event in run["events"]]
    is_open = run["status"] == "Running"
    run["pending_children"] = sorted(
        child["workflow"]
        for child in run["children"]
        if is_open and not child["reported"] and child["state"] not in ("StartFailed", "Moved")
    )
    # Of a run that has ended nobody asks any more.
    run["open_activities"] = run["open_activities"] if is_open else 0
    return Run(**run)
