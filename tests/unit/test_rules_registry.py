"""What holds for every compliance rule, present and future."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from reconciler.detect import controls, rules_doc
from reconciler.detect import rules as package
from reconciler.detect.rule import Example, Properties, Rule, judge
from reconciler.detect.rules import RULES
from reconciler.model import (
    Declared,
    DeclaredResource,
    ObservedResource,
    Presence,
    TenantFacts,
    Unreadable,
    Urn,
    Verdict,
)
from reconciler.plan.strategy import ADDED
from tenancy.regimes import Regime

URN = Urn("urn:pulumi:dev::p::x::acme")
LIVE_ONLY = {
    "aws:ec2/launchTemplate:LaunchTemplate": {"defaultBlockDeviceMappings", "defaultMetadataOptions"},
    "aws:kms/key:Key": {"grants"},
    "aws:lb/listener:Listener": {"ruleActions"},
}
"""Properties that nothing declares; the tests of their observers show that they are answered."""
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)


def verdicts(
    rule: Rule, example: Example, properties: Properties, presence: Presence = Presence.PRESENT
) -> list[Verdict]:
    tenant = TenantFacts("acme", "gold", example.regimes)
    resource = DeclaredResource(URN, example.type, "acme", "id-1", {}, tenant="acme")
    declared = Declared("dev", "p", "123456789012", "eu-west-1", {URN: resource}, {"acme": tenant})
    seen = ObservedResource(URN, presence, properties, "denied")
    return [f.verdict for f in judge(rule, declared, resource, seen, tenant)]


def test_there_is_one_rule_a_file_named_like_it() -> None:
    """Ids are unique and tell where the rule is."""
    files = {p.stem for p in Path(package.__path__[0]).glob("*.py")} - {"__init__"}
    assert {rule.id.replace("-", "_") for rule in RULES} == files
    assert len({rule.id for rule in RULES}) == len(RULES) >= 12


@every_rule
def test_a_rule_explains_itself(rule: Rule) -> None:
    """Title, description, source and control numbers are there, for regimes that exist."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.id)
    assert rule.title
    assert rule.title[-1] != "."
    assert rule.description.endswith(".")
    assert rule.source.startswith("https://")
    assert rule.controls.keys() <= set(Regime)
    assert rule.controls
    assert all(numbers for numbers in rule.controls.values())


@every_rule
def test_the_examples_pass_and_fail_as_said(rule: Rule) -> None:
    """Each rule shows one resource that it accepts and one that it does not."""
    assert verdicts(rule, rule.passing, rule.passing.properties) == [Verdict.PASS]
    assert verdicts(rule, rule.failing, rule.failing.properties) == [Verdict.FAIL]


@every_rule
@pytest.mark.parametrize("example", ["passing", "failing"])
def test_what_could_not_be_read_is_never_a_failure(rule: Rule, example: str) -> None:
    """I06: any property a rule reads, unreadable (also deep inside) or not returned, makes the verdict UNKNOWN."""
    shown: Example = getattr(rule, example)
    assert set(rule.reads[shown.type]) == shown.properties.keys()
    for name in shown.properties:
        rest = {k: v for k, v in shown.properties.items() if k != name}
        for hidden in (Unreadable("denied"), [{"a": {"b": Unreadable("denied")}}]):
            assert verdicts(rule, shown, {**rest, name: hidden}) == [Verdict.UNKNOWN]
        assert verdicts(rule, shown, rest) == [Verdict.UNKNOWN]
    assert verdicts(rule, shown, {}, Presence.UNKNOWN) == [Verdict.UNKNOWN]
    assert verdicts(rule, shown, {}, Presence.ABSENT) == []


@every_rule
def test_nothing_set_at_all_is_judged_without_a_crash(rule: Rule, caplog: pytest.LogCaptureFixture) -> None:
    """A property that AWS says is not set is a value like any other: the rule decides, it does not crash."""
    for type_, names in rule.reads.items():
        shown = Example(type_, dict.fromkeys(names))
        assert Verdict.UNKNOWN not in verdicts(rule, shown, shown.properties)


@every_rule
def test_the_properties_exist_in_the_sdk(rule: Rule) -> None:
    """A rule that reads a property Pulumi's AWS SDK does not have would be UNKNOWN for ever, but for those that an
    observer adds."""
    for type_, names in (*rule.reads.items(), *rule.reads_declared.items()):
        assert set(names) <= sdk_properties(type_) | LIVE_ONLY.get(type_, set()), type_
    for needed in (*rule.companion, *rule.companion.values()):
        assert sdk_properties(needed)


def test_what_nothing_declares_is_healed_by_no_repair() -> None:
    """A rule about such properties alone is one that the planner hands to a person, apart from any drift of the
    resource."""
    live_only = [r.id for r in RULES if any(LIVE_ONLY.get(t, set()) >= set(names) for t, names in r.reads.items())]
    assert set(live_only) == ADDED


def test_the_documentation_is_current() -> None:
    """The pages are what the rules say now; ``python -m reconciler.detect.rules_doc --write`` mends them."""
    assert rules_doc.PATH.read_text(encoding="utf-8") == rules_doc.render()
    assert rules_doc.CONTROLS_PATH.read_text(encoding="utf-8") == controls.render()


def test_every_control_that_a_rule_names_was_checked() -> None:
    """What was checked, and what docs/controls.md lists, are exactly the controls that the rules name."""
    named = {(rule.id, regime, c) for rule in RULES for regime, numbers in rule.controls.items() for c in numbers}
    regimes = {control: regime for regime, asked in controls.ASKS.items() for control in asked}
    assert {(rule, regimes[c], c) for rule, checked in controls.CHECKED.items() for c in checked} == named
    assert {c for _, _, c in named} == regimes.keys()
    rows = re.findall(r"^\| \[([^]]+)\]\(.*\| (.*) \|$", controls.render(), re.MULTILINE)
    listed = [(c, rule) for c, evidence in rows for rule in re.findall(r"\[`([^`]+)`\]", evidence)]
    assert sorted(listed) == sorted((c, rule) for rule, _, c in named)


@cache
def sdk_properties(token: str) -> frozenset[str]:
    """The property names of a type, read from the SDK's source: importing it takes seconds and a gigabyte."""
    spec = importlib.util.find_spec("pulumi_aws")
    assert spec is not None
    assert spec.origin is not None
    module, name = token.split(":")[1].split("/")
    file = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() + ".py"
    tree = ast.parse((Path(spec.origin).parent / module / file).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Attribute) and decorator.attr == "getter":
                    found.add(node.name)
                elif isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                    found |= {str(ast.literal_eval(k.value)) for k in decorator.keywords if k.arg == "name"}
    return frozenset(found)
