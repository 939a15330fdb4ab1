"""Judges kinlog by a Temporal server: the same programs on both, compared. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig

import known
from court import Court, Verdict
from draw import draw
from driver import Driver
from program import Program, parse
from server import running
from shrink import shrink
from written import programs


def arguments() -> argparse.Namespace:
    """What is to be judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    written = modes.add_parser("written", help="the written programs")
    written.add_argument("--every", type=int, default=1, help="only each so manieth of them")
    random = modes.add_parser("random", help="programs drawn at random")
    random.add_argument("--seed", type=int, default=int(time.time()))
    random.add_argument("--count", type=int, default=100)
    line = modes.add_parser("run", help="programs given as lines")
    line.add_argument("programs", nargs="+")
    parser.add_argument("--shrink", type=int, default=0, help="make so many of them smaller")
    parser.add_argument("--keep", type=Path, help="a directory for the histories of both sides")
    return parser.parse_args()


def chosen(asked: argparse.Namespace) -> dict[str, Program]:
    """The programs, by name. Raises ValueError for one that its line is not."""
    found = named(asked)
    for name, program in found.items():
        if parse(str(program)) != program:
            raise ValueError(f"{name}: {program} reads as another program")
    return found


def named(asked: argparse.Namespace) -> dict[str, Program]:
    """The programs that are asked for."""
    if asked.mode == "written":
        names = programs()
        return {name: names[name] for name in list(names)[:: asked.every]}
    if asked.mode == "random":
        return {f"seed {seed}": draw(seed) for seed in range(asked.seed, asked.seed + asked.count)}
    return {line: parse(line) for line in asked.programs}


async def main(asked: argparse.Namespace) -> int:
    """Judges, reports, and says whether anything new was found."""
    # That a server refuses a workflow task is what some programs are about.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off"))))
    cases = chosen(asked)
    began = time.monotonic()
    driver = Driver()
    async with running() as client, Court.sitting(client, driver, known.load()) as court:
        verdicts = await court.judge_all(cases)
        if asked.keep:
            court.keep(asked.keep)
        report(verdicts, asked, time.monotonic() - began)
        for verdict in [each for each in verdicts if not each.passes][: asked.shrink]:
            small = await shrink(verdict.program, court)
            print(f"\nshrunk: {small.program}")
            print_new(small)
    driver.close()
    return 0 if all(verdict.passes for verdict in verdicts) else 1


def report(verdicts: list[Verdict], asked: argparse.Namespace, seconds: float) -> None:
    """Says what was found."""
    for verdict in verdicts:
        if not verdict.passes:
            print(f"\n{verdict.name}\n  {verdict.program}")
            print_new(verdict)
    met = Counter(name for verdict in verdicts for name in verdict.known)
    wide = sum(verdict.wide for verdict in verdicts)
    runs = sum(verdict.runs for verdict in verdicts)
    print(f"\n{len(verdicts)} programs, {runs} runs, {seconds:.0f} s")
    if asked.mode == "random":
        print(f"seeds {asked.seed} to {asked.seed + asked.count - 1}")
    print(f"{len(verdicts) - wide} compared in full, {wide} up to where a known difference begins")
    print(f"{sum(verdict.again for verdict in verdicts)} taken a second time")
    for name, times in sorted(met.items()):
        print(f"{times:5} x {name}")
    if asked.mode == "written" and asked.every == 1:
        certain = [entry.name for entry in known.load() if not entry.chance]
        print_lines(f"known, but never met: {name}" for name in certain if name not in met)
    print(f"{sum(not verdict.passes for verdict in verdicts)} programs with something new")


def print_new(verdict: Verdict) -> None:
    """What is new about a program."""
    print_lines(f"    {line}" for line in verdict.new)


def print_lines(lines: Iterable[str]) -> None:
    """Prints each."""
    for line in lines:
        print(line)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
