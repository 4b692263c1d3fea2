"""Measures side by side, prints and writes the figures: ``make bench``, or ``python -m bench --help``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import programs
from bench.names import name_of
from bench.programs import REPOSITORY, Program, Start, World
from bench.report import Run, Skipped, growth, ratios, table, typical, with_figures

RESULTS = REPOSITORY / "bench" / "results"
PAGE = REPOSITORY / "docs" / "performance.md"
STACKMEND, FLOOR = "stackmend scan", "floor (bare boto3, 64 threads)"
OTHERS: Mapping[str, tuple[str, Start]] = {
    "custodian": ("Cloud Custodian 0.9.53", programs.custodian),
    "prowler": ("Prowler 5", programs.prowler),
    "refresh": ("pulumi refresh --preview-only", programs.refresh),
}
LONGEST_SECONDS = 1800


def main() -> None:
    options = _options()
    found: list[Run | Skipped] = []
    facts: dict[str, Any] = {}
    sizes = sorted(options.tenants)
    for tenants in sizes:
        with (
            tempfile.TemporaryDirectory(prefix="look-") as scratch,
            _served(tenants, Path(scratch)) as world,
        ):
            found += _compared(world, options, Path(scratch))
            if tenants == sizes[-1]:
                facts |= _one_tenant(world, Path(scratch))
                facts |= _one_throttled(world, Path(scratch), options.latency)
    resources = 38
    runs = {(one.program, one.tenants): one for one in found if isinstance(one, Run)}
    mine = [run for (program, _), run in sorted(runs.items(), key=lambda kv: kv[0][1]) if program == STACKMEND]
    if len(mine) > 1:
        facts["cpu_per_resource_growth"] = growth(mine[-2], mine[-1], resources)
    facts["ratios"] = {
        f"{run.tenants}": {
            p: ratios(run, other) for (p, t), other in runs.items() if t == run.tenants and p != STACKMEND
        }
        for run in mine
    }
    figures = "\n".join([table(found, base=FLOOR), "", *_sentences(facts, options, sizes, runs.values())])
    print(figures)
    RESULTS.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC)
    document = {
        "at": at.isoformat(),
        "latency_seconds": options.latency,
        "runs": [asdict(one) for one in found],
        **facts,
    }
    (RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if options.write:
        PAGE.write_text(with_figures(PAGE.read_text("utf-8"), figures), "utf-8")


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--tenants", type=_numbers, default=[10, 50, 200], help="sizes of the worlds: 10,50,200")
    parser.add_argument("--latency", type=float, default=0.06, help="seconds that each answer takes")
    parser.add_argument("--repeat", type=int, default=3, help="runs of stackmend and the floor, taken in turn")
    parser.add_argument("--others", default="custodian,prowler,refresh", help="which other programs; empty for none")
    parser.add_argument("--refresh-tenants", type=int, default=10, help="largest world for pulumi refresh")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/performance.md")
    return parser.parse_args()


# --- worlds ------------------------------------------------------------------------------------------------


@contextmanager
def _served(tenants: int, scratch: Path) -> Iterator[World]:
    """A seeded world behind a server that answers from memory."""
    state = scratch / "state.json"
    _say(f"making a world of {tenants} tenants")
    with _process("moto", str(tenants), str(state)) as upstream, _process("replay", str(upstream)) as port:
        yield World(tenants, port, state)


@contextmanager
def _process(*arguments: str) -> Iterator[int]:
    """A server of ``bench.aws``; its port. It ends with the block."""
    command = [sys.executable, "-m", "bench.aws", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with tempfile.TemporaryFile("w+") as words:
        started = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True, env=environment
        )
        try:
            assert started.stdout is not None  # noqa: S101 - it is a pipe
            line = started.stdout.readline()
            if not line:
                words.seek(0)
                raise SystemExit(f"bench.aws {arguments[0]} did not start:\n{words.read()[-2000:]}")
            yield int(line)
        finally:
            started.terminate()
            started.wait()


def _tell(world: World, what: str, **values: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{world.port}/__bench__/{what}", json.dumps(values).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told


# --- measuring ---------------------------------------------------------------------------------------------


def _compared(world: World, options: argparse.Namespace, scratch: Path) -> list[Run | Skipped]:
    own: Sequence[tuple[str, Start]] = ((STACKMEND, programs.stackmend), (FLOOR, programs.floor))
    runs: dict[str, list[Run]] = {name: [] for name, _ in own}
    for name, start in own:  # fills the server's memory
        _measured(name, world, start, scratch, latency=0)
    for _ in range(options.repeat):
        for name, start in own:
            one = _measured(name, world, start, scratch, latency=options.latency)
            if isinstance(one, Run):
                runs[name].append(one)
    found: list[Run | Skipped] = [typical(some) for some in runs.values()]
    for key in filter(None, options.others.split(",")):
        name, start = OTHERS[key]
        if key == "refresh" and world.tenants > options.refresh_tenants:
            found.append(Skipped(name, world.tenants, f"only run up to {options.refresh_tenants} tenants"))
            continue
        found.append(_measured(name, world, start, scratch, latency=options.latency))
    return found


def _measured(name: str, world: World, start: Start, scratch: Path, *, latency: float) -> Run | Skipped:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        program = start(world, Path(folder))
        if isinstance(program, Skipped):
            _say(f"{name}: not run: {program.why}")
            return program
        _tell(world, "reset", latency=latency, rates={})
        code, seconds, cpu, peak, words = _finished(program)
    told = _tell(world, "stats")
    calls, late = sum(told["calls"].values()), round(told["late_seconds"], 2)
    run = Run(name, world.tenants, calls, round(seconds, 2), round(cpu, 2), round(peak, 1), late)
    _say(f"{run.tenants:>4} tenants  {name}: {calls} calls, {seconds:.2f} s, CPU {cpu:.2f} s, {peak:.0f} MB")
    if code or not calls:
        return Skipped(name, world.tenants, f"it failed with {code}: {' '.join(words.split())[-160:]}")
    return run


def _finished(program: Program) -> tuple[int, float, float, float, str]:
    """Exit code, seconds, CPU seconds, peak memory in MB (of the largest process) and the end of what it said."""
    with tempfile.TemporaryFile("w+") as words:
        began = time.perf_counter()
        started = subprocess.Popen(
            program.command,
            env=dict(program.environment),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        end = threading.Timer(LONGEST_SECONDS, os.kill, (started.pid, signal.SIGKILL))
        end.start()
        _, status, usage = os.wait4(started.pid, 0)
        end.cancel()
        started.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        words.seek(0)
        said = words.read()[-4000:]
    return started.returncode, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


def _one_tenant(world: World, scratch: Path) -> dict[str, Any]:
    """What looking at one tenant costs in a cell of many."""

    def start(served: World, folder: Path) -> Program:
        return programs.stackmend(served, folder, name_of(1))

    _measured("one tenant", world, start, scratch, latency=0)
    run = _measured("one tenant", world, start, scratch, latency=0.06)
    return {"one_tenant": asdict(run)}


def _one_throttled(world: World, scratch: Path, latency: float) -> dict[str, Any]:
    """Two accounts in one process, one of them throttled: how long the other takes, against being alone."""
    seconds: dict[str, Any] = {}
    for name, rates in (("alone", {}), ("beside a throttled one", {"slow": 5})):
        accounts = ("fast",) if name == "alone" else ("fast", "slow")
        command = (sys.executable, "-m", "bench.accounts", str(world.state), name_of(1), *accounts)
        _tell(world, "reset", latency=latency, rates=rates)
        code, _, _, _, said = _finished(Program(command, world.environment, scratch))
        if code:
            return {"throttled": {"failed": said[-400:]}}
        seconds[name] = json.loads(said.strip().rpartition("\n")[2])
    return {"throttled": {**seconds, "refused": _tell(world, "stats")["throttled"]}}


def _sentences(
    facts: Mapping[str, Any], options: argparse.Namespace, sizes: Sequence[int], runs: Collection[Run]
) -> list[str]:
    late = max((run.late_seconds for run in runs), default=0.0)
    said = [
        f"{options.latency * 1000:.0f} ms a call; median of {options.repeat} runs of stackmend and the floor, one of "
        f"the others, in which the server's answers were late by {late:.1f} s in sum at most."
    ]
    mine = {run.tenants: run.wall_seconds for run in runs if run.program == STACKMEND}
    said += [
        f"At {run.tenants} tenants {run.program} takes {run.wall_seconds / mine[run.tenants]:.1f} times as long as "
        f"stackmend."
        for run in runs
        if run.program not in (STACKMEND, FLOOR)
    ]
    if "cpu_per_resource_growth" in facts:
        said.append(
            f"CPU per resource at {sizes[-1]} tenants against {sizes[-2]}: {facts['cpu_per_resource_growth']:+.0%}."
        )
    if one := facts.get("one_tenant"):
        said.append(f"One tenant in a cell of {one['tenants']}: {one['calls']} calls, {one['wall_seconds']:.2f} s.")
    throttled = facts.get("throttled", {})
    if "alone" in throttled:
        alone, beside = throttled["alone"]["fast"], throttled["beside a throttled one"]
        said.append(
            f"Two accounts at once, one throttled: the other takes {beside['fast']:.2f} s, alone {alone:.2f} s; "
            f"the throttled one {beside['slow']:.2f} s."
        )
    return [f"- {words}" for words in said]


def _say(words: str) -> None:
    print(f"[bench] {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
