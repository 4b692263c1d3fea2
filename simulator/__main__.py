"""``python -m simulator``: many histories, or one again (``--replay SEED``)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

from simulator.history import History, generate
from simulator.run import Summary, shrunk, simulate_all, workbench
from simulator.runner import Failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (default: 0)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one a processor)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run this one again and shrink it if it fails")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    chosen = parser.parse_args()
    if chosen.replay is not None:
        return _replay(chosen.replay)
    began = time.monotonic()
    summary = simulate_all(chosen.seed, chosen.histories, workers=chosen.workers, told=_counting(chosen.histories))
    seconds = time.monotonic() - began
    if chosen.output == "json":
        _print_json(summary, seconds)
    else:
        print("\n".join(summary.told()))
        print(f"{len(summary.failures)} of {chosen.histories} histories failed, in {seconds:.0f} s")
        for failed in summary.failures:
            print(f"seed {failed.history.seed}: {failed.what}")
        if summary.failures:
            _tell(shrunk(summary.failures[0]))
    return 1 if summary.failures else 0


def _replay(seed: int) -> int:
    history = generate(seed)
    with workbench() as run:
        failed = run(history).failed
    if failed is None:
        _tell_events(history)
        print(f"seed {seed} holds every invariant")
        return 0
    _tell(shrunk(failed))
    return 1


def _tell(failed: Failed) -> None:
    print(f"\nthe shortest form of seed {failed.history.seed} that fails in the same way:")
    _tell_events(failed.history)
    print(f"  {failed.what}")


def _tell_events(history: History) -> None:
    print(f"  {history.tenants} tenants with {history.servers} servers each")
    for event in history.events:
        print(f"  {event}")


def _counting(total: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % 500 == 0 and sys.stderr.isatty():
            print(f"{done} of {total}", file=sys.stderr)

    return tell


def _print_json(summary: Summary, seconds: float) -> None:
    failures = [
        {"seed": f.history.seed, "what": f.what, "events": [str(e) for e in f.history.events]} for f in summary.failures
    ]
    document = {
        "seconds": round(seconds, 1),
        "counts": dict(sorted(summary.counts.items())),
        "never_happened": summary.never_happened,
        "failures": failures,
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    sys.exit(main())
