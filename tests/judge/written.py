"""The written programs: families that go through what a rule distinguishes, case by case."""

from __future__ import annotations

from collections.abc import Iterator

from program import CONFLICTS, POLICIES, REUSES, Program, parse

# How a parent ends, as steps after those that made it.
ENDS = {
    "completes": "P: complete",
    "fails": "P: fail",
    "continues": "P: continue",
    "cancels": "cancel P; P: canceled",
    "is terminated": "terminate P",
    "times out": "time-out P",
    "fails and is tried again": "P: fail",
    "completes by cron": "P: complete",
}
# What the start of the parent needs for that.
STARTS = {
    "times out": "start P timeout",
    "fails and is tried again": "start P retry",
    "completes by cron": "start P cron",
}
# How a child ends.
CHILD_ENDS = ("C: complete", "C: fail", "cancel C; C: canceled", "terminate C")


def programs() -> dict[str, Program]:
    """All of them, each with a name; those that wait for a time-out come first."""
    found: dict[str, Program] = {}
    for family in FAMILIES:
        for name, line in family():
            if name in found:
                raise ValueError(f"two programs are named {name!r}")
            found[name] = parse(line)
    waits = {name: "time-out" in str(program) for name, program in found.items()}
    return dict(sorted(found.items(), key=lambda item: not waits[item[0]]))


Family = Iterator[tuple[str, str]]


def closing_parents() -> Family:
    """Each policy, and each way in which a parent ends; the child ends later, if it still runs."""
    for policy in POLICIES:
        for how, end in ENDS.items():
            start = STARTS.get(how, "start P")
            yield (
                f"a parent of a child to {policy} {how}",
                f"{start}; P: child C {policy}; {end}; C: complete",
            )
            yield (
                f"a parent in the task that starts a child to {policy} {how}",
                f"{start}; P: child C {policy}{_in_one_task(how, end)}; start C",
            )


def _in_one_task(how: str, end: str) -> str:
    return end.removeprefix("P:").join((", ", "")) if end.startswith("P:") else f"; {end}"


def reported_children() -> Family:
    """A child ends, and its parent is told; then the parent ends, or has ended before."""
    for end in CHILD_ENDS:
        yield f"a child ends: {end}", f"start P; P: child C; {end}; P: complete"
        yield (
            f"an abandoned child ends after its parent: {end}",
            f"start P; P: child C abandon; P: complete; {end}",
        )
        yield (
            f"a child in its second run ends: {end}",
            f"start P; P: child C; C: continue; {end}; P: complete",
        )
    yield "a child times out", "start P; P: child C timeout; time-out C; P: complete"
    yield (
        "a child times out and is tried again",
        "start P; P: child C retry timeout; time-out C; C: complete; P: complete",
    )
    yield (
        "two children end one after the other",
        "start P; P: child A, child B; B: fail; A: complete; P: complete",
    )
    yield (
        "a child is asked to cancel and completes",
        "start P; P: child C; cancel C; C: complete; P: complete",
    )


def children_that_go_on() -> Family:
    """A child that continues as new, is tried again or runs by cron, and its parent ends meanwhile."""
    goes_on = {
        "continues": ("", "C: continue"),
        "continues twice": ("", "C: continue; C: continue"),
        "is tried again": (" retry", "C: fail"),
        "runs by cron": (" cron", "C: complete"),
        "fails by cron": (" cron", "C: fail"),
    }
    for how, (options, steps) in goes_on.items():
        for policy in POLICIES:
            for end in ("P: complete", "terminate P", "P: continue"):
                yield (
                    f"a child to {policy} {how}; {end}",
                    f"start P; P: child C {policy}{options}; {steps}; {end}; terminate C",
                )
    yield (
        "the last attempt fails",
        "start P; P: child C retry; C: fail; C: fail; P: complete",
    )
    yield (
        "a retried child is canceled",
        "start P; P: child C retry; C: fail; cancel C; C: canceled; P: complete",
    )
    yield "a cron child is terminated", "start P; P: child C cron; C: complete; terminate C"
    yield (
        "a retried child continues",
        "start P; P: child C retry; C: fail; C: continue; C: fail; C: fail; P: complete",
    )
    yield "a cron workflow is canceled", "start P cron; cancel P; P: canceled"
    yield "a retried workflow completes", "start P retry; P: fail; P: complete"
    yield "a retried workflow fails for good", "start P retry; P: fail; P: fail"


def generations() -> Family:
    """Three generations: what reaches a grandchild."""
    for first in POLICIES:
        for second in POLICIES:
            yield (
                f"a grandchild to {second} of a child to {first}",
                f"start P; P: child C {first}; C: child G {second}; P: complete; "
                "C: complete; G: complete",
            )
    yield (
        "a child between two others fails",
        "start P; P: child C; C: child G; C: fail; P: complete",
    )
    yield (
        "a grandchild whose grandparent continues",
        "start P; P: child C request-cancel; C: child G; P: continue; C: canceled; P: complete",
    )
    yield (
        "a root that is named by its grandchildren",
        "start P; P: child C; C: continue; C: child G abandon; G: continue; P: complete; "
        "G: child H; G: complete",
    )
    yield "eleven children are reached", _many(11)
    yield "as many children as allowed", _many(12)


def _many(children: int) -> str:
    starts = ", ".join(f"child C{n} {POLICIES[n % 3]}" for n in range(children))
    return f"start P; P: {starts}; P: complete"


def starts() -> Family:
    """Reuse, conflict, and the status of the run before."""
    before = {
        "an open run": "",
        "a completed run": "P: complete; ",
        "a failed run": "P: fail; ",
        "a canceled run": "cancel P; P: canceled; ",
        "a terminated run": "terminate P; ",
        "a continued run": "P: continue; ",
    }
    for name, steps in before.items():
        for reuse in REUSES:
            yield (
                f"a start after {name}, reuse {reuse}",
                f"start P; {steps}start P reuse={reuse}",
            )
        for conflict in CONFLICTS:
            yield (
                f"a start after {name}, conflict {conflict}",
                f"start P; {steps}start P conflict={conflict}",
            )
        yield f"signal with start after {name}", f"start P; {steps}signal-with-start P"
    yield "a repeated start", "start P request=r; start P request=r; P: complete; start P request=r"
    yield (
        "a repeated start of a run that continued",
        "start P request=r; P: continue; start P request=r",
    )
    yield "another start while one runs", "start P request=r; start P request=s"
    for reuse in REUSES:
        for conflict in CONFLICTS:
            yield (
                f"a start with reuse {reuse} and conflict {conflict}",
                f"start P; start P reuse={reuse} conflict={conflict}; P: complete",
            )
    yield (
        "a start that terminates a parent",
        "start P; P: child A, child B abandon, child C request-cancel; "
        "start P conflict=terminate-existing; C: complete; P: child A",
    )
    yield (
        "a start that terminates a child",
        "start P; P: child C; start C conflict=terminate-existing; P: complete; C: complete",
    )
    yield "a start that finds a child", "start P; P: child C; start C conflict=use-existing"
    yield "signal with start of nothing", "signal-with-start P; signal-with-start P; P: complete"
    yield (
        "signal with start that terminates",
        "start P; P: child C; signal-with-start P conflict=terminate-existing",
    )
    yield (
        "a signal with a request id",
        "start P; signal P request=r; signal P request=r; signal P request=s; signal P",
    )
    yield (
        "a signal with a request id in the next run",
        "start P; signal P request=r; P: continue; signal P request=r",
    )


def starts_of_children() -> Family:
    """A child whose workflow id is taken, or was."""
    before = {
        "runs": "",
        "completed": "C: complete; ",
        "failed": "C: fail; ",
        "was terminated": "terminate C; ",
        "continued": "C: continue; ",
    }
    for name, steps in before.items():
        for reuse in REUSES:
            yield (
                f"a child whose workflow {name}, reuse {reuse}",
                f"start C; {steps}start P; P: child C reuse={reuse}; P: complete",
            )
    yield (
        "a child that is started again",
        "start P; P: child C; P: child C; C: complete; P: child C; C: complete; P: complete",
    )
    yield (
        "a child that takes the place of its sibling",
        "start P; P: child C; P: child C reuse=terminate-if-running; P: complete",
    )
    yield (
        "a child that terminates its parent",
        "start P; P: child P reuse=terminate-if-running; P: complete",
    )
    yield (
        "a second child with one id, and the parent closes",
        "start P; P: child C abandon; P: child C terminate, complete; C: complete",
    )
    yield "two children with one id", "start P; P: child C, child C; C: complete; P: complete"
    yield (
        "a stranger with the id of a child",
        "start P; P: child C; C: complete; start C; P: complete; C: complete",
    )
    yield "a child of another parent", "start P; start Q; P: child C; Q: child C; P: complete"


def requests() -> Family:
    """Signals and cancel requests between workflows, and from clients."""
    targets = {
        "a running workflow": "start Q; ",
        "a closed workflow": "start Q; Q: complete; ",
        "a missing workflow": "",
        "a continued workflow": "start Q; Q: continue; ",
        "a workflow that was asked": "start Q; cancel Q; ",
    }
    for name, steps in targets.items():
        for verb in ("signal", "cancel"):
            yield f"{verb} to {name}", f"{steps}start P; P: {verb} Q; P: complete"
    for verb in ("signal-child", "cancel-child"):
        yield f"{verb}", f"start P; P: child C; P: {verb} C; C: complete; P: complete"
        yield (
            f"{verb} to a child that continued",
            f"start P; P: child C; C: continue; P: {verb} C; C: complete",
        )
        yield (
            f"{verb} to a child that is closed",
            f"start P; P: child C; C: complete; P: {verb} C; P: complete",
        )
        yield (
            f"{verb} twice",
            f"start P; P: child C; P: {verb} C; P: {verb} C; C: complete",
        )
        yield (
            f"{verb} by the next run of its parent",
            f"start P; P: child C abandon; P: continue; P: {verb} C; C: complete",
        )
    for verb in ("signal", "cancel"):
        yield f"{verb} and close", f"start Q; start P; P: {verb} Q, complete"
        yield f"{verb} and continue", f"start Q; start P; P: {verb} Q, continue"
        yield f"{verb} to itself", f"start P; P: {verb} P; P: complete"
        yield f"{verb} to its parent", f"start P; P: child C; C: {verb} P; P: complete"
        yield f"{verb} twice", f"start Q; start P; P: {verb} Q; P: {verb} Q; Q: complete"
        yield (
            f"{verb} to a child in the task that starts it",
            f"start P; P: child C, {verb} C; terminate P",
        )
        yield f"a client's {verb} after the end", f"start P; P: complete; {verb} P; {verb} P#1"
        yield f"a client's {verb} to a missing run", f"{verb} P"
    yield "a client cancels twice", "start P; cancel P; cancel P; P: canceled"
    yield (
        "a cancel request is not carried over",
        "start P; cancel P; P: continue; P: canceled; cancel P; P: canceled",
    )
    yield "terminate after the end", "start P; P: complete; terminate P"
    yield "an update", "start P; update P; P: complete"
    yield "an update between children", "start P; P: child C; update P; C: complete; update P"


def resets_of_parents() -> Family:
    """A reset at every workflow task of a parent with a child of each policy."""
    for policy in POLICIES:
        for point in ("to 0", "to 2", "after 2", "to 3", "after 3"):
            yield (
                f"reset {point} of a parent whose child to {policy} runs",
                f"start P; P: child C {policy}; signal P; reset P {point}; C: complete; P: complete",
            )
            yield (
                f"reset {point} of a parent whose child to {policy} ended",
                f"start P; P: child C {policy}; C: complete; reset P {point}; P: complete",
            )
            yield (
                f"reset {point} of a parent whose child to {policy} outlives it",
                f"start P; P: child C {policy}; P: child D; reset P {point}; P: complete; "
                "C: complete",
            )
        for end in ("P: complete", "terminate P", "P: continue"):
            yield (
                f"reset of a parent of a child to {policy} that has ended: {end}",
                f"start P; P: child C {policy}; {end}; reset P#1 after 2; C: complete; P: complete",
            )
    yield (
        "a client asks a child that a reset gave to another run",
        "start P; P: child C request-cancel; signal P; reset P after 2; P: complete; cancel C; "
        "C: canceled",
    )
    for verb in ("signal-child", "cancel-child"):
        yield (
            f"{verb} by the run that a reset made",
            f"start P; P: child C; signal P; reset P after 2; P: {verb} C; C: complete; P: complete",
        )
    yield (
        "reset of a run whose workflow id is another one's child",
        "start P; P: child C abandon; P: complete; C: child P; reset P#1 to 2; C: complete",
    )
    yield (
        "reset of a parent twice",
        "start P; P: child C; P: child D; reset P after 2; P: child E; reset P after 2; "
        "C: complete; P: complete",
    )
    yield (
        "a second reset to an earlier point",
        "start P; P: child C; P: child D; reset P after 3; reset P#1 after 2; D: complete; "
        "C: complete; P: complete",
    )
    yield (
        "a second reset of the first run",
        "start P; P: child C; P: child D; reset P after 3; reset P#1 to 0; C: complete; P: complete",
    )
    yield (
        "reset of the run that a reset made",
        "start P; P: child C; reset P after 2; P: child D; reset P after 4; D: complete; "
        "C: complete; P: complete",
    )
    yield (
        "reset of an earlier run of the chain",
        "start P; P: child C abandon; P: continue; P: child D; reset P#1 after 2; C: complete; "
        "P: complete",
    )
    yield (
        "reset of a chain that is over while another runs",
        "start P; P: child C abandon; P: complete; start P; P: child D; reset P#1 after 2; "
        "C: complete; P: complete",
    )
    yield (
        "reset shares a cancel request",
        "start P; cancel P; signal P; reset P after 2; P: canceled",
    )
    yield (
        "reset shares a signal to another",
        "start Q; start P; P: signal Q; signal P; reset P after 3; P: complete",
    )
    yield (
        "reset takes back a signal to another",
        "start Q; start P; P: signal Q; signal P; reset P to 3; P: complete",
    )
    yield (
        "reset of a run with an activity",
        "start P; P: activity; P: child C; reset P after 2; C: complete; P: complete",
    )
    yield (
        "reset of a grandchild's parent",
        "start P; P: child C; C: child G; signal C; reset C after 3; G: complete; C: complete; "
        "P: complete",
    )


def resets_of_children() -> Family:
    """A child is reset; its parent is told once."""
    for policy in POLICIES:
        yield (
            f"reset of a child to {policy} that runs",
            f"start P; P: child C {policy}; signal C; reset C to 0; P: complete; C: complete",
        )
        yield (
            f"reset of a child to {policy} that reports later",
            f"start P; P: child C {policy}; signal C; reset C to 0; C: complete; P: complete",
        )
        yield (
            f"reset of a child to {policy} that has ended",
            f"start P; P: child C {policy}; C: child G; C: complete; reset C after 3; P: complete; "
            "C: complete",
        )
        yield (
            f"reset of a child to {policy} that continued",
            f"start P; P: child C {policy}; C: continue; reset C#1 to 0; C: complete; P: complete",
        )
    yield (
        "reset of a child twice",
        "start P; P: child C; signal C; reset C to 0; reset C to 0; C: fail; P: complete",
    )
    yield (
        "reset of a child and of its parent",
        "start P; P: child C; signal C; reset C to 0; reset P after 2; C: complete; P: complete",
    )
    yield (
        "reset of a parent and of its child",
        "start P; P: child C; signal P; reset P after 2; reset C to 0; C: complete; P: complete",
    )


def limits() -> Family:
    """One more than allowed, in one workflow task: it does not happen, nor what came with it."""
    # A missing workflow: which of twelve cancel requests comes first is up to the server.
    for verb in ("signal Q", "cancel Q", "activity"):
        commands = ", ".join([verb] * 13)
        yield f"thirteen times {verb}", f"start P; P: {commands}; terminate P"
        yield f"twelve times {verb}", f"start P; P: {', '.join([verb] * 12)}; P: complete"
    yield "thirteen children", _many(13).replace("P: complete", "terminate P")
    yield (
        "a child ends and makes room",
        _many(12).replace("P: complete", "C0: complete; P: child D; P: complete"),
    )


FAMILIES = (
    closing_parents,
    reported_children,
    children_that_go_on,
    generations,
    starts,
    starts_of_children,
    requests,
    resets_of_parents,
    resets_of_children,
    limits,
)

if __name__ == "__main__":
    for program in programs().values():
        print(program)
