"""One look by stackmend at the declared world, as ``stackmend scan`` makes it: read the state, observe, detect.

``python -m bench.scan STATE [TENANT]`` prints what it saw and how long each part took, as JSON. The engine and the
store are left out: the state is read from a file, and nothing is recorded.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from bench.names import ACCOUNT, CELL
from reconciler import interpreter
from reconciler.declare.state import parse
from reconciler.detect.detect import detect
from reconciler.model import Presence
from reconciler.observe.clients import Clients
from reconciler.observe.observe import observe
from reconciler.observe.registry import KINDS


def main(state: str, tenant: str = "") -> None:
    interpreter.prepare()
    began = time.perf_counter(), time.process_time()
    declared = parse(json.loads(Path(state).read_bytes()), cell=CELL)
    only = {urn for urn, r in declared.resources.items() if r.tenant == tenant} if tenant else None
    read = time.perf_counter(), time.process_time()
    observed = observe(declared, Clients(declared.region, ACCOUNT), only=only)
    seen = time.perf_counter(), time.process_time()
    findings = detect(declared, observed, KINDS, now=datetime.now(UTC), only=only)
    judged = time.perf_counter(), time.process_time()
    moments = (began, read, seen, judged)
    names = ("declare", "observe", "detect")
    parts = {
        n: [round(b - a, 3) for a, b in zip(x, y, strict=True)]
        for n, x, y in zip(names, moments, moments[1:], strict=False)
    }
    print(
        json.dumps(
            {
                "resources": len(observed.resources),
                "present": sum(o.presence is Presence.PRESENT for o in observed.resources.values()),
                "verdicts": Counter(f.verdict for f in findings),
                "failing": sorted(
                    {f.urn.rpartition("::")[2] for f in findings if f.kind == "drift" and f.verdict == "FAIL"}
                )[:12],
                "failed_reads": len(observed.failed),
                "calls": observed.calls,
                "wall_and_cpu_seconds": parts,
                "gc": gc.get_stats()[2]["collections"],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
