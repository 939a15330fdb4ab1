"""Programs: what is done to a few workflows, step by step, as one line of text.

    start P; P: child C abandon, signal S; C: complete; reset P to 2; terminate P

The steps are numbered from 1. `P: ...` tells a workflow, by a signal, what to do in its next
workflow task; all other steps are calls of a client. After each step both sides come to rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

POLICIES = ("terminate", "abandon", "request-cancel")
REUSES = ("allow", "failed-only", "reject", "terminate-if-running")
CONFLICTS = ("fail", "use-existing", "terminate-existing")
CLOSES = ("complete", "fail", "canceled", "continue")
# What a workflow can be told about another one.
OUTWARD = ("child", "signal", "cancel", "signal-child", "cancel-child")


class Unreadable(ValueError):
    """A text that is no program."""


@dataclass(frozen=True)
class Options:
    """How a workflow is started."""

    retry: bool = False
    cron: bool = False
    timeout: bool = False
    reuse: str = ""
    conflict: str = ""
    request: str = ""

    def words(self) -> list[str]:
        flags = [name for name in ("retry", "cron", "timeout") if getattr(self, name)]
        named = ("reuse", "conflict", "request")
        return flags + [f"{name}={getattr(self, name)}" for name in named if getattr(self, name)]


@dataclass(frozen=True)
class Command:
    """What a workflow does in a workflow task."""

    verb: str
    target: str = ""
    policy: str = ""
    options: Options = field(default_factory=Options)

    def __str__(self) -> str:
        words = [self.verb, self.target, self.policy, *self.options.words()]
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Step:
    """One step. `run` is the number of a run of the workflow, 0 for the current one."""

    verb: str
    workflow: str
    run: int = 0
    commands: tuple[Command, ...] = ()
    options: Options = field(default_factory=Options)
    # Of a reset: the step, and whether what followed from it is shared as well.
    point: int = 0
    after: bool = False

    def __str__(self) -> str:
        who = f"{self.workflow}#{self.run}" if self.run else self.workflow
        if self.verb == "tell":
            return f"{who}: {', '.join(map(str, self.commands))}"
        words = [self.verb, who]
        if self.verb == "reset":
            words += ["after" if self.after else "to", str(self.point)]
        return " ".join(words + self.options.words())


@dataclass(frozen=True)
class Program:
    """Steps, in order."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.steps))

    def json(self) -> dict[str, Any]:
        """The program as the driver of kinlog reads it."""
        return {"steps": [_step_json(step) for step in self.steps]}

    def without(self, index: int) -> Program:
        """The program without one step; resets to it are gone as well."""
        number, kept = index + 1, []
        for position, step in enumerate(self.steps):
            if position == index or (step.verb == "reset" and step.point == number):
                continue
            if step.verb == "reset" and step.point > number:
                step = replace(step, point=step.point - 1)
            kept.append(step)
        return Program(tuple(kept))

    def smaller(self) -> list[Program]:
        """Programs with one step or one command less, the largest cuts first."""
        found = [self.without(index) for index in reversed(range(len(self.steps)))]
        for index, step in enumerate(self.steps):
            for gone in range(len(step.commands) if len(step.commands) > 1 else 0):
                left = step.commands[:gone] + step.commands[gone + 1 :]
                steps = list(self.steps)
                steps[index] = replace(step, commands=left)
                found.append(Program(tuple(steps)))
        return found


def parse(text: str) -> Program:
    """Reads a program; the inverse of `str`."""
    steps = tuple(_parse_step(part.strip()) for part in text.split(";") if part.strip())
    if not steps:
        raise Unreadable("a program has steps")
    return Program(steps)


def _parse_step(text: str) -> Step:
    who, colon, told = text.partition(":")
    if colon:
        workflow, run = _parse_who(who.strip())
        commands = tuple(_parse_command(part.split()) for part in told.split(","))
        return Step("tell", workflow, run, commands)
    verb, *words = text.split()
    if verb not in CLIENT_VERBS or not words:
        raise Unreadable(f"{text!r} is no step")
    (workflow, run), words = _parse_who(words[0]), words[1:]
    if verb != "reset":
        return Step(verb, workflow, run, options=_parse_options(words))
    if len(words) != 2 or words[0] not in ("to", "after"):
        raise Unreadable(f"{text!r}: a reset is `to` or `after` a step")
    return Step(verb, workflow, run, point=int(words[1]), after=words[0] == "after")


CLIENT_VERBS = (
    "start", "terminate", "cancel", "signal", "signal-with-start", "reset", "time-out", "update"
)  # fmt: skip


def _parse_who(word: str) -> tuple[str, int]:
    workflow, _, run = word.partition("#")
    return workflow, int(run or 0)


def _parse_command(words: list[str]) -> Command:
    if not words:
        raise Unreadable("a command is missing")
    verb, *rest = words
    if verb in CLOSES or verb == "activity":
        return Command(verb)
    if verb not in OUTWARD or not rest:
        raise Unreadable(f"{' '.join(words)!r} is no command")
    target, *rest = rest
    policy = ""
    if verb == "child":
        policy = rest.pop(0) if rest and rest[0] in POLICIES else "terminate"
    return Command(verb, target, policy, _parse_options(rest))


def _parse_options(words: list[str]) -> Options:
    values: dict[str, Any] = {}
    known = {"reuse": REUSES, "conflict": CONFLICTS, "request": None}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and name in ("retry", "cron", "timeout"):
            values[name] = True
        elif equals and name in known and value in (known[name] or (value,)):
            values[name] = value
        else:
            raise Unreadable(f"{word!r} is no option")
    return Options(**values)


def _options_json(options: Options) -> dict[str, Any]:
    return {
        "retry": options.retry,
        "cron": options.cron,
        "reuse": options.reuse,
        "conflict": options.conflict,
        "request": options.request,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "text": str(step),
        "verb": step.verb,
        "workflow": step.workflow,
        "run": step.run,
        "commands": [
            {
                "verb": command.verb,
                "target": command.target,
                "policy": command.policy,
                "options": _options_json(command.options),
            }
            for command in step.commands
        ],
        "options": _options_json(step.options),
        "point": step.point,
        "after": step.after,
    }
