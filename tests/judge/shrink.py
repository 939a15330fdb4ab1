"""Makes a program smaller for as long as something new is found."""

from __future__ import annotations

from court import Court, Verdict
from program import Program


async def shrink(program: Program, court: Court) -> Verdict:
    """The smallest program found, which differs as well."""
    verdict = await court.judge("shrunk", program)
    while True:
        smaller = {str(each): each for each in verdict.program.smaller() if each.steps}
        tried = await court.judge_all(smaller)
        failing = [each for each in tried if not each.passes]
        if not failing:
            return verdict
        verdict = min(failing, key=lambda each: len(str(each.program)))
