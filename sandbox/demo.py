"""The whole loop on this machine: declare, break, detect, plan, heal, prove. Ends with 0 only if every step held.

It uses the product as a user does: a real ``pulumi up``, then the ``stackmend`` command line with JSON output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from sandbox.faults.fault import Fault
from sandbox.faults.registry import FAULTS
from sandbox.faults.victim import Victim
from sandbox.lifecycle import REPOSITORY, Sandbox

CELL = "demo"
GOLD, SILVER, BRONZE = "acme-bank", "blue-clinic", "corner-shop"
STRIKES: Sequence[tuple[str, str]] = (
    ("terminate-instance", GOLD),
    ("open-ssh", GOLD),
    ("change-encryption", GOLD),
    ("delete-alarm", GOLD),
    ("allow-imdsv1", GOLD),
    ("stop-instance", SILVER),
    ("unblock-bucket", SILVER),
    ("disable-key-rotation", SILVER),
    ("shorten-log-retention", SILVER),
    ("drop-tls-policy", SILVER),
    ("delete-default-route", BRONZE),
    ("delete-listener", BRONZE),
    ("strip-tag", BRONZE),
    ("suspend-versioning", BRONZE),
)
"""What is broken, and whose: five of forty resources a tenant at most, below the breaker's share."""


class DemoError(Exception):
    """A step of the demonstration did not hold; the message says which, and what was seen instead."""


@dataclass(frozen=True, slots=True)
class Struck:
    """One injected fault and what became of it."""

    fault: Fault
    tenant: str
    findings: tuple[Mapping[str, Any], ...]

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(str(f["id"]) for f in self.findings)


class Demo:
    """The steps, in order. Each raises DemoError if what it shows does not hold."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sandbox = Sandbox(CELL, home=REPOSITORY / ".sandbox-demo")

    def run(self) -> None:
        begun = time.monotonic()
        self._title("Deploy: three tenants by a real `pulumi up`")
        self._sandbox.down()
        self._sandbox.up(tenants=3)
        self._environment = {**os.environ, **self._sandbox.environment()}

        self._title("Scan: everything as declared")
        self._expect_clean()

        self._title(f"Break: {len(STRIKES)} faults, as an intruder, an outage or a careless operator would")
        self._break()

        self._title("Scan: each fault is found")
        self._stackmend("scan")
        struck = self._attribute(self._json("scan"))

        self._title("Plan")
        self._stackmend("plan")

        self._title("Repair")
        outcomes = self._repair()

        self._title("Scan: everything as declared again")
        self._expect_clean()

        self._title("Prove: the engine finds nothing to change, and the ledger verifies")
        self._engine_agrees()
        self._stackmend("ledger", "verify")

        self._title(f"{len(struck)} faults, found and healed; {time.monotonic() - begun:.0f} s in all")
        self._summary(struck, outcomes)
        # A failure leaves everything as it is, to be looked at.
        self._sandbox.down()

    def _expect_clean(self) -> None:
        document = self._json("scan")
        summary, coverage = document["summary"], document["coverage"]
        if summary["fail"] or summary["unknown"] or coverage["observed"] != coverage["declared"]:
            self._stackmend("scan")
            raise DemoError(f"the scan is not clean: {summary}, {coverage}")
        self._console.print(
            f"  [green]{summary['pass']} PASS[/]  0 FAIL  0 UNKNOWN   {coverage['observed']} of {coverage['declared']}"
            f" resources seen in {coverage['seconds']:.1f} s with {coverage['calls']} calls"
        )

    def _break(self) -> None:
        environment = self._sandbox.environment()
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        for name, tenant in STRIKES:
            fault = FAULTS[name]
            what = fault.strike(Victim(session, tenant, CELL, endpoint_url=environment["AWS_ENDPOINT_URL"]))
            self._console.print(f"  [red]{name}[/]  {tenant}  [dim]{fault.description} ({what})[/]")

    def _attribute(self, document: Mapping[str, Any]) -> tuple[Struck, ...]:
        """Match findings to faults; every fault must be found and every finding must have a fault."""
        failing = [f for f in document["findings"] if f["verdict"] == "FAIL"]
        struck = tuple(
            Struck(fault, tenant, tuple(f for f in failing if f["tenant"] == tenant and f["type"] in fault.types))
            for fault, tenant in ((FAULTS[name], tenant) for name, tenant in STRIKES)
        )
        unseen = [s.fault.name for s in struck if not s.findings]
        explained = frozenset[str]().union(*(s.ids for s in struck))
        extra = [f["message"] for f in failing if f["id"] not in explained]
        if unseen or extra or document["summary"]["unknown"]:
            raise DemoError(f"not found: {unseen}; without a fault: {extra}; {document['summary']}")
        return struck

    def _repair(self) -> Sequence[Mapping[str, Any]]:
        outcomes: Sequence[Mapping[str, Any]] = self._json("repair")["outcomes"]
        bad = [
            f"{o['strategy']} {o['urns']}: {o['status']}, {o['reason']}" for o in outcomes if o["status"] != "healed"
        ]
        if bad or not outcomes:
            raise DemoError("not healed: " + "; ".join(bad))
        return outcomes

    def _engine_agrees(self) -> None:
        preview = self._sandbox.preview(expect_no_changes=True)
        self._console.print(f"  pulumi preview --expect-no-changes: {preview}")

    def _summary(self, struck: Sequence[Struck], outcomes: Sequence[Mapping[str, Any]]) -> None:
        table = Table("fault", "tenant", "found as", "strategy", "seconds to heal", header_style="bold")
        for s in struck:
            mine = [o for o in outcomes if s.ids & set(o["finding_ids"])]
            if not mine:
                raise DemoError(f"no repair concerned {s.fault.name}")
            rules = sorted({str(f["rule"]) for f in s.findings})
            seconds = max(float(o["seconds"]) for o in mine)
            strategies = ", ".join(sorted({str(o["strategy"]) for o in mine}))
            table.add_row(s.fault.name, s.tenant, ", ".join(rules), strategies, f"{seconds:.1f}")
        self._console.print(table)

    def _stackmend(self, *arguments: str) -> None:
        """Run the command for people."""
        done = self._process(*arguments)
        self._console.print(Text.from_ansi(done.stdout))
        if done.returncode:
            raise DemoError(f"stackmend {' '.join(arguments)} failed")

    def _json(self, *arguments: str) -> dict[str, Any]:
        """Run the command for machines; its progress still shows."""
        done = self._process(*arguments, "--output", "json")
        if not done.stdout:
            raise DemoError(f"stackmend {' '.join(arguments)} gave no document (exit code {done.returncode})")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Its results are captured; its progress, on stderr, goes where this program's goes."""
        command = [str(Path(sys.executable).with_name("stackmend")), *arguments]
        look = {"COLUMNS": str(self._console.width)} | ({"FORCE_COLOR": "1"} if self._console.is_terminal else {})
        return subprocess.run(
            command, env={**self._environment, **look}, stdout=subprocess.PIPE, text=True, check=False
        )

    def _title(self, text: str) -> None:
        self._console.print(Rule(text, align="left", style="bold"))
