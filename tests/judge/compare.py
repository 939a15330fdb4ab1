"""Where two trees of facts differ, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """A place in the facts, and what each side has there."""

    path: str
    server: str
    kinlog: str

    def __str__(self) -> str:
        return f"{self.path}: server {self.server}, kinlog {self.kinlog}"


def differences(server: Any, kinlog: Any, path: str = "") -> list[Difference]:
    """All places in which two trees differ."""
    if isinstance(server, dict) and isinstance(kinlog, dict):
        found = []
        for name in sorted(set(server) | set(kinlog), key=str):
            below = f"{path}.{name}" if path else str(name)
            found += differences(server.get(name), kinlog.get(name), below)
        return found
    if isinstance(server, list) and isinstance(kinlog, list):
        return _of_lists(server, kinlog, path)
    return [] if server == kinlog else [Difference(path, _short(server), _short(kinlog))]


def _of_lists(server: list[Any], kinlog: list[Any], path: str) -> list[Difference]:
    # Of histories, the kinds say more than what follows from one event more or less.
    if path.endswith(".events"):
        kinds = [[event["kind"] for event in side] for side in (server, kinlog)]
        if kinds[0] != kinds[1]:
            return [Difference(path + ".kinds", str(kinds[0]), str(kinds[1]))]
    if len(server) != len(kinlog):
        return [Difference(path, _short(server), _short(kinlog))]
    found = []
    for place, (one, other) in enumerate(zip(server, kinlog, strict=True), 1):
        found += differences(one, other, f"{path}[{place}]")
    return found


def _short(value: Any) -> str:
    if isinstance(value, dict) and "status" in value:
        return f"a run {value['status']} {[event['kind'] for event in value['events']]}"
    return "nothing" if value is None else str(value)
