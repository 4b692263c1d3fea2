"""What happens in one history: a list of events, made from a seed, that says all; running it draws no lots."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from simulator.layout import DELETABLE, FREE, STATEFUL, Blueprint, program


@dataclass(frozen=True, slots=True)
class Event:
    """``kind`` happens in ``turn``, before it (``step`` 0) or at that step of it. ``arg`` is what it concerns."""

    turn: int
    step: int
    kind: str
    arg: str = ""
    times: int = 1

    def __str__(self) -> str:
        when = f"at step {self.step} of pass {self.turn}" if self.step else f"before pass {self.turn}"
        return f"{when}: {self.kind} {self.arg}".rstrip() + (f" ({self.times} times)" if self.times > 1 else "")


@dataclass(frozen=True, slots=True)
class History:
    seed: int
    tenants: int
    servers: int
    base: int
    """Which of ``world.BASES`` it begins at."""
    turns: int
    events: tuple[Event, ...]


ROWS: dict[str, tuple[str, ...]] = {
    "drift": (),
    "delete": (),
    "lose data": ("I08",),
    "heal": ("F08",),
    "sick": (),
    "stop": (),
    "terminate": (),
    "deregister": ("F23",),
    "zone down": ("F49",),
    "bad image": ("F48",),
    "no capacity": ("F13",),
    "fight": ("F52",),
    "many at once": ("I03",),
    "new image": ("F44",),
    "deploy": ("F44",),
    "resize": ("F52",),
    "read fails": ("F01", "F02", "F03", "F05", "F07", "F10", "F16", "F17", "F18", "F19", "F20", "F21", "F23"),
    "read empty": ("F15",),
    "direct empty": ("F15",),
    "read truncated": ("F06",),
    "stale": ("F08",),
    "vanish": ("F09",),
    "blind": ("F11",),
    "write lost": ("F04",),
    "write refused": ("F01", "F05", "F12"),
    "engine refuses": ("F12", "F14"),
    "engine crashes": ("F43",),
    "engine does not start": ("F28",),
    "engine survives": ("F24",),
    "engine locked": ("F44",),
    "stale lock": ("F40",),
    "garbage lock": ("F41",),
    "pending create": ("F42",),
    "state corrupt": ("F45",),
    "surprise": ("F44",),
    "store fails": ("F22",),
    "crash": ("F24",),
    "rival": ("F51",),
    "switch": ("F30",),
    "sleep": ("F27", "F30"),
    "clock ahead": ("F36",),
    "clock behind": ("F37",),
    "pause": ("I14",),
    "pause tenant": ("I14",),
    "resume": ("I14",),
    "dry run": ("I15",),
    "one tenant": ("I10",),
}
"""Every kind of event, and the rows of the robustness programme that it stands for."""

_BEFORE = {
    "drift": 10,
    "delete": 8,
    "lose data": 2,
    "sick": 5,
    "stop": 3,
    "terminate": 3,
    "deregister": 2,
    "zone down": 1,
    "bad image": 2,
    "no capacity": 2,
    "fight": 3,
    "many at once": 1,
    "new image": 1,
    "deploy": 1,
    "resize": 1,
    "stale lock": 1,
    "garbage lock": 1,
    "pending create": 2,
    "clock ahead": 1,
    "clock behind": 1,
    "pause": 1,
    "pause tenant": 1,
    "resume": 2,
    "dry run": 1,
    "one tenant": 1,
    "engine survives": 1,
}
_DURING = {
    "crash": 10,
    "heal": 4,
    "drift": 2,
    "sick": 1,
    "terminate": 1,
    "deploy": 1,
    "resize": 1,
    "read fails": 6,
    "read empty": 3,
    "direct empty": 1,
    "read truncated": 3,
    "stale": 4,
    "vanish": 2,
    "blind": 2,
    "write lost": 2,
    "write refused": 2,
    "engine refuses": 2,
    "engine crashes": 1,
    "engine does not start": 1,
    "engine locked": 1,
    "state corrupt": 1,
    "surprise": 2,
    "store fails": 2,
    "rival": 2,
    "switch": 2,
    "sleep": 3,
    "pause": 1,
    "pause tenant": 1,
}
_OPERATIONS = (
    "describe_auto_scaling_groups",
    "describe_instances",
    "describe_target_health",
    "describe_launch_template",
    "sim:list",
    "sim:get",
    "",
)


def generate(seed: int) -> History:
    """The history of a seed."""
    lots = random.Random(seed)  # noqa: S311 - it must be repeatable
    tenants, servers, turns = lots.choice((2, 2, 2, 3)), lots.choice((2, 3, 3, 4)), lots.choice((1, 2, 2, 3))
    cell = list(program(tenants, servers).values())
    events = tuple(sorted(_events(lots, cell, turns), key=lambda e: (e.turn, e.step)))
    return History(seed, tenants, servers, lots.randrange(4), turns, events)


def _events(lots: random.Random, cell: list[Blueprint], turns: int) -> Iterator[Event]:
    for turn in range(1, turns + 1):
        for _ in range(lots.choice((0, 1, 1, 2, 3, 4) if turn > 1 else (1, 2, 2, 3, 4))):
            yield _event(lots, cell, turn, 0, _BEFORE)
        for _ in range(lots.choice((0, 1, 1, 2, 3))):
            yield _event(lots, cell, turn, _step(lots), _DURING)


def _step(lots: random.Random) -> int:
    """Most of a quiet pass is in its first steps; rollouts go on for long."""
    return lots.randint(1, 30) if lots.random() < 0.6 else lots.randint(20, 140)


def _event(lots: random.Random, cell: list[Blueprint], turn: int, step: int, weights: dict[str, int]) -> Event:
    kind = lots.choices(list(weights), list(weights.values()))[0]
    return Event(turn, step, kind, *_details(lots, cell, kind))


def _details(lots: random.Random, cell: list[Blueprint], kind: str) -> tuple[str, int]:
    def one(of: frozenset[str] | set[str]) -> str:
        return lots.choice([b.name for b in cell if b.type in of])

    tenant = lots.choice(sorted({b.tenant for b in cell}))
    match kind:
        case "drift" | "fight":
            return one(set(FREE)), 1
        case "delete" | "vanish":
            return one(DELETABLE), 1
        case "lose data":
            return one(STATEFUL), 1
        case "surprise":
            return one(set(FREE)), 1
        case "sick" | "stop" | "terminate" | "deregister":
            return f"{tenant}-servers {lots.randrange(4)}", 1
        case "zone down" | "bad image" | "no capacity" | "resize":
            return f"{tenant}-servers", 1
        case "many at once":
            return tenant, lots.randint(3, 8)
        case "pause tenant" | "one tenant":
            return tenant, 1
        case "pending create":
            return one(DELETABLE), 1
        case "read fails" | "read empty" | "read truncated" | "direct empty":
            operation = lots.choice(_OPERATIONS)
            return (one(DELETABLE) if operation == "sim:get" and lots.random() < 0.5 else operation), lots.randint(1, 6)
        case "stale" | "engine locked":
            return "", lots.randint(1, 3)
        case "store fails":
            return lots.choice(("", "write", "read")), lots.randint(1, 3)
        case "engine refuses":
            return lots.choice(("create", "update", "")), lots.randint(1, 3)
        case "write lost" | "write refused":
            return lots.choice(("set_desired", "terminate", "")), 1
        case "crash":
            return lots.choice(("", "done")), 1
        case "sleep" | "rival":
            return lots.choice(("1", "70", "400")), 1
        case _:
            return "", 1
