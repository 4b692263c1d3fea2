"""What is printed: the JSON contract, and tables that nothing a tenant wrote can disturb."""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from reconciler.model import (
    AcceptedBy,
    Attribution,
    Deferral,
    Kind,
    Outcome,
    Plan,
    Repair,
    Secret,
    Status,
    Unreadable,
    Urn,
    Verdict,
)
from reconciler.present import documents, tables
from reconciler.record.documents import from_finding, to_finding
from tests.unit.plan_worlds import cell, finding, resource, scan

SUBNET = resource("urn:pulumi:dev::p::aws:ec2/subnet:Subnet::acme-a")
FAILING = finding(SUBNET)
PASSING = finding(SUBNET, "rule", Kind.COMPLIANCE, Verdict.PASS)
REPAIR = Repair("reapply", "acme", (SUBNET.urn,), (FAILING.id,), "it broke")


def shown(what: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=160, markup=False, highlight=False).print(what)
    return file.getvalue()


def test_the_scan_document_has_the_promised_shape() -> None:
    """Machines find the promised keys, and PASS findings only when they ask for everything."""
    world = scan(cell(SUBNET), FAILING, PASSING)
    document = json.loads(json.dumps(documents.scan_document(world, everything=False)))
    assert {"run_id", "cell", "coverage", "summary", "findings"} <= document.keys()
    assert document["summary"] == {"pass": 1, "fail": 1, "unknown": 0}
    (only,) = document["findings"]
    assert only.keys() >= {
        "id", "rule", "kind", "verdict", "severity", "urn", "type", "resource_id", "tenant", "property", "declared",
        "observed", "message",
    }  # fmt: skip
    assert len(documents.scan_document(world, everything=True)["findings"]) == 2


def test_the_plan_and_repair_documents_have_the_promised_shape() -> None:
    """A repair's outcome names the repair, its strategy, resources, status, seconds and reason."""
    plan = Plan("run", "dev", (REPAIR,), (Deferral(("f-2",), "the budget is spent", "budget"),))
    told = documents.plan_document(plan)
    assert told["repairs"][0]["repair_id"] == REPAIR.id
    (deferred,) = told["deferrals"]
    assert deferred.items() >= {"finding_ids": ["f-2"], "reason": "the budget is spent", "code": "budget"}.items()
    outcome = Outcome(REPAIR.id, "reapply", REPAIR.urns, Status.HEALED, 1.23456, "")
    (first,) = documents.outcomes_document(plan, [outcome])["outcomes"]
    assert {"repair_id", "strategy", "urns", "status", "seconds", "reason"} <= first.keys()
    assert (first["status"], first["seconds"]) == ("healed", 1.235)


def test_secrets_and_unreadable_values_are_words() -> None:
    """I13: a declared secret is printed as a word that holds nothing of it, at any depth."""
    value = {"password": Secret(), "list": [Unreadable("denied")]}
    assert documents.plain(value) == {"password": "[secret]", "list": ["[unknown: denied]"]}


def test_an_accepted_finding_is_shown_with_its_owner() -> None:
    """An exception is never hidden: document and table say that it is accepted, by whom and until when."""
    accepted = replace(FAILING, accepted=AcceptedBy("ana", "migration", datetime(2030, 1, 1, tzinfo=UTC)))
    assert documents.finding_document(accepted)["accepted"]["owner"] == "ana"
    assert "accepted" in shown(tables.scan_tables(scan(cell(SUBNET), accepted), everything=False))


def test_terminal_controls_are_made_visible() -> None:
    """B44, T11: an escape sequence, a line break or a direction mark in a message does nothing to the terminal."""
    nasty = replace(FAILING, message="\x1b[31mred\x07\r\nfake line\u202e", tenant="te[bold]nant")
    text = shown(tables.scan_tables(scan(cell(SUBNET), nasty), everything=False))
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)
    assert "te[bold]nant" in text


@given(st.text())
def test_no_text_leaves_control_characters(text: str) -> None:
    """B44, B46: whatever is in a tag, what is printed holds no control, format or surrogate character."""
    assert not {unicodedata.category(c) for c in tables.safe(text).plain} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_tables_say_what_machines_read() -> None:
    """Plans and outcomes name the repair, its resources and why something was left alone."""
    plan = Plan("run", "dev", (REPAIR,), (Deferral(("f-2",), "the budget is spent", "budget"),))
    text = shown(tables.plan_tables(plan))
    assert REPAIR.id in text
    assert "Subnet acme-a" in text
    assert "the budget is spent" in text
    outcome = Outcome(REPAIR.id, "reapply", REPAIR.urns, Status.NOT_HEALED, 2, "AWS said no")
    assert "AWS said no" in shown(tables.outcomes_table(plan, [outcome]))
    assert "Nothing to repair" in shown(tables.outcomes_table(Plan("run", "dev", (), ()), []))


def test_a_short_name_is_the_type_and_the_logical_name() -> None:
    """People read the last type and the logical name of a URN, not the path of its parents."""
    urn = Urn("urn:pulumi:dev::stackmend::stackmend:index:Tenant$aws:ec2/vpc:Vpc::acme-vpc")
    assert tables.short(urn) == "Vpc acme-vpc"


def test_who_changed_it_is_shown_kept_and_no_part_of_the_finding_s_id() -> None:
    """An attribution is in the table, the JSON and the record, and the same fault keeps its id (T11)."""
    who = Attribution("arn:aws:iam::1:user/x", "ec2:CreateTags", datetime(2026, 3, 1, tzinfo=UTC), "203.0.113.7", "e-1")
    named = replace(FAILING, attribution=who)
    assert named.id == FAILING.id
    assert "user/x" in shown(tables.scan_tables(scan(cell(SUBNET), named), everything=False))
    assert documents.finding_document(named)["attribution"]["source_address"] == "203.0.113.7"
    assert to_finding(from_finding(named)).attribution == who
    unknown = replace(FAILING, attribution=Attribution(not_known="nobody was asked"))
    assert to_finding(from_finding(unknown)).attribution == unknown.attribution
    assert to_finding(from_finding(FAILING)).attribution is None
