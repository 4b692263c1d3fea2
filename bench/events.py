"""How long it takes from a change in AWS to its verdict, on the sandbox, with the real service and a real queue.

Run as ``python -m bench.events [--rounds N]``. Each round adds a rule to one tenant's security group, as an intruder
would, and takes the time from the moment the call returned to the moment the pass that looks at it has its verdicts.
Repairs are paused, so that what is measured is the looking. Prints a table and writes ``bench/results/events.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import IO

from sandbox.faults.victim import Victim
from sandbox.lifecycle import Sandbox
from stacks.config import load_file

RESULTS = Path(__file__).parent / "results" / "events.json"
TARGET_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
STACKMEND = str(Path(sys.executable).with_name("stackmend"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tenants", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stackmend-bench-") as folder:
        sandbox = Sandbox("bench", home=Path(folder) / "home")
        try:
            sandbox.up(arguments.tenants)
            seconds = measured(sandbox, arguments.rounds)
        finally:
            sandbox.down()
    report(seconds, arguments.tenants)


def measured(sandbox: Sandbox, rounds: int) -> list[float]:
    """Seconds from a change to its verdict, one number a round."""
    environment = {**os.environ, **sandbox.environment(), "STACKMEND_LOG": "json"}
    subprocess.run([STACKMEND, "pause", "--reason", "only looks are measured"], env=environment, check=True)
    tenants = [t.name for t in load_file(sandbox.config_file).tenants]
    victims = [Victim(sandbox.session(), t, sandbox.cell, endpoint_url=sandbox.url, actor="intruder") for t in tenants]
    groups = [victim.id("ec2:security-group", "server-sg") for victim in victims]
    taken: list[float] = []
    with service(environment) as log:
        next_verdicts(log, events=False)
        for i in range(rounds):
            victim, group = victims[i % len(victims)], groups[i % len(victims)]
            port = 2000 + i
            victim.ec2.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": port,
                        "ToPort": port,
                        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                    }
                ],
            )
            changed = datetime.now(UTC)
            taken.append((next_verdicts(log, events=True) - changed).total_seconds())
            print(f"round {i + 1}: {taken[-1]:.2f} s", file=sys.stderr)
    return taken


@contextmanager
def service(environment: dict[str, str]) -> Iterator[IO[str]]:
    """``stackmend run`` with events only; gives its log."""
    command = [STACKMEND, "run", "--every", "24h"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            if process.stderr is not None:
                yield process.stderr
        finally:
            process.terminate()
            try:
                process.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def next_verdicts(log: IO[str], *, events: bool) -> datetime:
    """When the next pass had its verdicts."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for line in log:
        entry = json.loads(line)
        if entry["event"] == "pass":
            continue
        if entry["event"] == "verdicts" and bool(entry["events"]) == events:
            return datetime.fromisoformat(entry["timestamp"])
        if time.monotonic() > deadline:
            break
    raise SystemExit("no verdicts came")


def report(seconds: list[float], tenants: int) -> None:
    p95 = quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    result = {
        "what": "seconds from a change to its verdict, on the sandbox",
        "rounds": len(seconds),
        "tenants": tenants,
        "median": round(median(seconds), 3),
        "p95": round(p95, 3),
        "most": round(max(seconds), 3),
        "target_p95": TARGET_SECONDS,
        "reached": p95 <= TARGET_SECONDS,
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]},
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "each": [round(s, 3) for s in seconds],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    for name in ("rounds", "median", "p95", "most", "target_p95", "reached"):
        print(f"{name:>10}  {result[name]}")


if __name__ == "__main__":
    main()
