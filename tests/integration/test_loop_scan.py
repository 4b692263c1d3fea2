"""A cell right after its deployment: all is seen and nothing is said; and what a user meets at the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reconciler.model import Verdict
from tests.integration.loop import TENANTS, Cell, assert_clean, assert_fleets_whole

pytestmark = pytest.mark.engine

FINDING = {
    "id": str,
    "rule": str,
    "kind": str,
    "verdict": str,
    "severity": str,
    "urn": str,
    "type": str,
    "resource_id": str,
    "tenant": str | None,
    "property": str,
    "declared": object,
    "observed": object,
    "message": str,
}
"""The fields of a finding in a document, and their types; what machines have been told to rely on."""


def test_right_after_deployment(cell: Cell) -> None:
    """Nothing fails, nothing is unknown, and every resource of tenants and of the cell was seen, none unsupported."""
    scan = cell.scan()
    assert_clean(scan)
    assert_fleets_whole(scan)
    assert scan.coverage.unsupported == ()
    assert scan.observed.failed == ()
    assert {f.urn for f in scan.findings} == set(scan.declared.resources)
    assert all(len(scan.declared.of(tenant)) >= 35 for tenant in TENANTS)


def test_document_of_a_scan(cell: Cell) -> None:
    """The JSON document has the fields that machines rely on; with --all it also holds what passes. Exit code 0."""
    done = cell.command("scan", "--output", "json", "--all", "--detailed-exitcode")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document.keys() == {"run_id", "cell", "coverage", "summary", "findings"}
    assert document["cell"] == "dev"
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", document["run_id"])
    coverage = document["coverage"]
    counts, lists = {"declared", "observed", "unknown", "calls", "seconds"}, {"unsupported", "failed_reads", "unseen"}
    assert coverage.keys() == {*counts, *lists, "paths"}
    (bulk,) = coverage["paths"]
    assert (bulk["path"], bulk["resources"], bulk.keys()) == (
        "bulk",
        coverage["declared"],
        {"path", "resources", "at", "seconds"},
    )
    assert coverage["declared"] == coverage["observed"] > 100
    assert (coverage["unknown"], [coverage[name] for name in sorted(lists)]) == (0, [[], [], []])
    assert document["summary"] == {"pass": len(document["findings"]), "fail": 0, "unknown": 0}
    for finding in document["findings"]:
        assert finding.keys() == FINDING.keys()
        assert all(isinstance(finding[name], kind) for name, kind in FINDING.items())
        assert finding["verdict"] == Verdict.PASS.value
        assert re.fullmatch(r"f-[0-9a-f]{12}", finding["id"])
    assert {f["tenant"] for f in document["findings"]} == {*TENANTS, None}


def test_exit_code_of_findings(cell: Cell) -> None:
    """With a finding open, --detailed-exitcode turns 0 into 2; the finding's document says what, where and whose."""
    cell.strike("expose-subnet", TENANTS[1])
    done = cell.command("scan", "--output", "json", "--detailed-exitcode")
    assert done.returncode == 2
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["verdict"] == "FAIL"
    assert finding["type"] == "aws:ec2/subnet:Subnet"
    assert (finding["tenant"], finding["property"]) == (TENANTS[1], "mapPublicIpOnLaunch")
    assert (finding["declared"], finding["observed"]) == (False, True)

    explained = cell.command("explain", finding["id"], "--output", "json")
    assert explained.returncode == 0
    assert finding["id"] in explained.stdout

    repaired = cell.command("repair", "--tenant", TENANTS[1], "--output", "json")
    assert (repaired.returncode, repaired.stderr.count("Traceback")) == (0, 0)
    (outcome,) = json.loads(repaired.stdout)["outcomes"]
    assert (outcome["status"], outcome["strategy"], outcome["tenant"]) == ("healed", "reapply", TENANTS[1])
    assert outcome["finding_ids"] == [finding["id"]]
    assert_clean(cell.scan())


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["scan", "--cell", "nowhere"], {}, "no such stack"),
        (["scan", "--tenant", "acme"], {}, "there is no tenant 'acme'"),
        (["scan"], {"STACKMEND_BUDGET__TENANT": "101%"}, "STACKMEND_BUDGET__TENANT"),
        (["repair"], {"STACKMEND_SETTINGS": "missing.toml"}, "missing.toml"),
        (["scan"], {"STACKMEND_ACCOUNT": "999999999999"}, "999999999999"),
    ],
    ids=["unknown cell", "unknown tenant", "bad setting", "missing file", "wrong account"],
)
def test_mistakes_of_users(
    cell: Cell, tmp_path: Path, arguments: list[str], environment: dict[str, str], told: str
) -> None:
    """A mistake is one message that names it, exit code 1, no traceback, and nothing is written (B16, B22, B34)."""
    cell.control.reset()
    store = {"STACKMEND_STORE_URL": f"sqlite:///{tmp_path}/other.db"} if "--cell" in arguments else {}
    done = cell.command(*arguments, **store, **environment)
    assert done.returncode == 1
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""
    assert cell.control.calls().writes == {}
