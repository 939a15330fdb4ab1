"""The known differences: data, each with the words of docs/semantics.md that decide it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from compare import Difference
from program import Program

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "docs" / "semantics.md"


@dataclass(frozen=True)
class Known:
    """A known difference."""

    name: str
    rule: str
    lines: tuple[re.Pattern[str], ...]
    program: re.Pattern[str]
    # For a wide one: a line that one of the differences must fit.
    shows: re.Pattern[str] | None
    # Whether a server does the one or the other.
    chance: bool

    def covers(self, program: Program, difference: Difference) -> bool:
        """Whether this is what is known."""
        line = str(difference)
        return bool(self.program.search(str(program))) and any(
            pattern.fullmatch(line) for pattern in self.lines
        )


def load() -> list[Known]:
    """All of them. Raises ValueError for one that docs/semantics.md does not name."""
    rules = " ".join(RULES.read_text().split())
    with (HERE / "differences.toml").open("rb") as file:
        entries = tomllib.load(file)["difference"]
    found = [
        Known(
            entry["name"],
            entry["rule"],
            tuple(re.compile(line) for line in entry["lines"]),
            re.compile(entry.get("program", "")),
            re.compile(entry["shows"]) if "shows" in entry else None,
            entry.get("chance", False),
        )
        for entry in entries
    ]
    for known in found:
        if known.rule not in rules:
            raise ValueError(f"docs/semantics.md does not say: {known.rule}")
    return found


@dataclass(frozen=True)
class Explained:
    """What the differences of a program come to."""

    known: tuple[str, ...]
    # Whether one of them is wide: what follows from it is not compared.
    wide: bool
    # Whether it is one that a server decides by chance.
    chance: bool
    new: tuple[Difference, ...]


def explain(known: list[Known], program: Program, found: list[Difference]) -> Explained:
    """Tells the known differences from new ones.

    A wide one is looked for only where the others leave something.
    """
    names: list[str] = []
    left, wide, chance = found, False, False
    for entry in sorted(known, key=lambda entry: entry.shows is not None):
        if entry.shows and not any(entry.shows.search(str(each)) for each in left):
            continue
        covered = [each for each in left if entry.covers(program, each)]
        if covered:
            names.append(entry.name)
            wide |= entry.shows is not None
            chance |= entry.chance
            left = [each for each in left if each not in covered]
    return Explained(tuple(names), wide, chance, tuple(left))
