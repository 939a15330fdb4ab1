"""Programs drawn at random from a seed.

What is known to go different ways (see differences.toml) is drawn seldom or not at all: the
written programs have it.
"""

from __future__ import annotations

from random import Random

from program import POLICIES, REUSES, Command, Options, Program, Step

NAMES = ("P", "Q", "A", "B", "C")
STEPS = (5, 12)


def draw(seed: int) -> Program:
    """The program of a seed."""
    return _Draw(Random(seed)).program()


class _Draw:
    def __init__(self, random: Random) -> None:
        self._random = random
        # Workflows that were started, or may have been.
        self._known: list[str] = []
        self._steps: list[Step] = []
        self._with_resets = random.random() < 0.6
        # A reset and a policy of the new run go different ways.
        strict = self._with_resets and random.random() < 0.8
        self._policies = ("abandon",) if strict else POLICIES

    def program(self) -> Program:
        self._start("P")
        for _ in range(self._random.randint(*STEPS)):
            self._step()
        return Program(tuple(self._steps))

    def _start(self, workflow: str) -> None:
        options = self._options() if self._random.random() < 0.4 else Options()
        self._steps.append(Step("start", workflow, options=options))
        self._known.append(workflow)

    def _step(self) -> None:
        draw = self._random.random()
        workflow = self._random.choice(self._known)
        if draw < 0.60:
            self._steps.append(Step("tell", workflow, commands=self._commands(workflow)))
        elif draw < 0.65:
            self._steps.append(Step("terminate", workflow))
        elif draw < 0.70:
            self._steps.append(Step("cancel", workflow))
        elif draw < 0.74:
            self._steps.append(Step("signal", workflow, options=self._request()))
        elif draw < 0.76:
            self._steps.append(Step("signal-with-start", workflow))
        elif draw < 0.78:
            self._steps.append(Step("update", workflow))
        elif draw < 0.93 and self._with_resets:
            self._reset(workflow)
        else:
            self._start(self._random.choice(NAMES))

    def _reset(self, workflow: str) -> None:
        told = [step.workflow for step in self._steps if step.verb == "tell"]
        workflow = self._random.choice(told) if told else workflow
        points = [0] + [
            number
            for number, step in enumerate(self._steps, 1)
            if step.verb == "tell" and step.workflow == workflow
        ]
        random = self._random
        point, after = random.choice(points), random.random() < 0.5
        run = random.choice((0, 0, 0, 1, 1, 2))
        self._steps.append(Step("reset", workflow, run, point=point, after=after))

    def _commands(self, workflow: str) -> tuple[Command, ...]:
        random = self._random
        commands: list[Command] = []
        for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
            commands.append(self._outward(workflow, commands))
        if not commands or random.random() < 0.18:
            ends = ("complete", "complete", "fail", "canceled", "continue")
            commands.append(Command(random.choice(ends)))
        return tuple(commands)

    def _outward(self, workflow: str, before: list[Command]) -> Command:
        random = self._random
        others = [name for name in NAMES if name != workflow]
        verb = random.choice(("child", "child", "child", "signal", "cancel", "signal-child",
                              "cancel-child", "activity"))  # fmt: skip
        if verb == "activity":
            return Command(verb)
        target = random.choice(others)
        begun = any(command.target == target for command in before)
        if verb != "child":
            # Not to a child that starts in the same task.
            return Command("activity") if begun else Command(verb, target)
        self._known.append(target)
        if begun:
            return Command("activity")
        options = self._options() if random.random() < 0.4 else Options()
        options = Options(retry=options.retry, cron=options.cron, reuse=self._reuse())
        return Command(verb, target, random.choice(self._policies), options)

    def _reuse(self) -> str:
        # A child that takes its parent's place goes another way.
        return self._random.choice(("", "", "", *REUSES[:3]))

    def _options(self) -> Options:
        random = self._random
        return Options(
            retry=random.random() < 0.4,
            cron=random.random() < 0.1,
            reuse=self._random.choice(("", "", *REUSES)),
            conflict=random.choice(("", "", "use-existing")),
            request=random.choice(("", "", "r", "s")),
        )

    def _request(self) -> Options:
        return Options(request=self._random.choice(("", "r", "s")))
