"""Stack configuration files: every kind of bad input is refused with its place, and good ones load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from stacks.check import main
from stacks.config import CellConfig, load_file
from stacks.source import MAX_BYTES
from tenancy.errors import ConfigurationError, Problem
from tenancy.regimes import REGIMES
from tenancy.tenant import Size, Tenant
from tenancy.tiers import TIERS

STACKS = Path(__file__).parents[2] / "stacks"

GOOD = """\
config:
  aws:region: eu-west-1
  stackmend:owner: platform
  stackmend:alarm_topic_arn: arn:aws:sns:eu-west-1:123456789012:alarms
  stackmend:tenants:
    - name: acme
      cidr: 10.0.0.0/20
      tier: gold
      regimes: [pci-dss]
      size: {min: 2, desired: 2, max: 4}
      certificate_arn: arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0001-4000-8000-000000000001
    - name: globex
      cidr: 10.0.16.0/20
      tier: silver
      regimes: [gdpr, soc2]
      size: {min: 1, desired: 2, max: 3}
      certificate_arn: arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0001-4000-8000-000000000002
      image_id: ami-12345678
"""


def load(folder: Path, content: str | bytes, cell: str = "dev") -> CellConfig:
    path = folder / f"Pulumi.{cell}.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_file(path)


def problems(folder: Path, content: str | bytes, cell: str = "dev") -> tuple[Problem, ...]:
    """Load something bad: refused, nothing changed, and every problem names the file and what is allowed."""
    path = folder / f"Pulumi.{cell}.yaml"
    with pytest.raises(ConfigurationError) as caught:
        load(folder, content, cell)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    for problem in caught.value.problems:
        assert problem.file == str(path)
        assert problem.reason
        assert problem.allowed
        assert str(problem).startswith(str(path))
    return caught.value.problems


def test_a_good_file_becomes_a_typed_cell(tmp_path: Path) -> None:
    """Cell from the file's name, region, owner, topic and tenants from its keys."""
    config = load(tmp_path, GOOD, "dev-eu")
    assert (config.cell, config.region, config.owner) == ("dev-eu", "eu-west-1", "platform")
    assert [tenant.name for tenant in config.tenants] == ["acme", "globex"]
    assert config.tenants[0].instance_type == "t3.small"
    assert config.tenants[1].image_id == "ami-12345678"


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("false", False), ('"true"', True), ("'false'", False)])
def test_a_cell_has_a_queue_of_change_events_if_it_says_so(tmp_path: Path, written: str, meant: bool) -> None:
    """Off unless it is said; in quotes too, which the engine puts there when it writes the file."""
    assert not load(tmp_path, GOOD).events
    assert load(tmp_path, f"{GOOD}  stackmend:events: {written}\n").events is meant


@pytest.mark.parametrize("path", sorted(STACKS.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_the_files_of_this_repository_are_good(path: Path) -> None:
    """Every stack file next to the program loads."""
    assert load_file(path).tenants


def test_the_engines_own_keys_are_left_alone(tmp_path: Path) -> None:
    """What the Pulumi CLI writes into the file itself is not an unknown key."""
    assert load(tmp_path, f"encryptionsalt: v1:abc=\nsecretsprovider: passphrase\n{GOOD}  pulumi:tags: {{a: b}}\n")


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nconfig: *c\n"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        pytest.param("", None, "empty", id="B01-empty"),
        pytest.param("\n# nothing\n", None, "empty", id="B01-comment-only"),
        pytest.param("hello", 1, "not a mapping", id="B02-text"),
        pytest.param("config: {a: [1,\n", 2, "not YAML", id="B02-unclosed"),
        pytest.param("a: b\n---\nc: d\n", 2, "not YAML", id="B02-two-documents"),
        pytest.param("config:\n\taws:region: x\n", 2, "not YAML", id="B03-tabs"),
        pytest.param(GOOD + "config: {}\n", 19, "twice", id="B04-key-twice"),
        pytest.param(GOOD + "      image_id: ami-12345678\n", 19, "twice", id="B04-nested-key-twice"),
        pytest.param(BOMB, 1, "anchor or alias", id="B05-anchor-bomb"),
        pytest.param("a: *b\n", 1, "anchor or alias", id="B05-alias"),
        pytest.param("a: {<<: {b: c}}\n", 1, "not text", id="B05-merge-key"),
        pytest.param("[" * 100_000, 1, "deep", id="B05-deep"),
        pytest.param("a: " + "x" * MAX_BYTES, None, "larger", id="B06-too-large"),
        pytest.param("config:\n  a: \x00\n", 2, "U+0000", id="B07-NUL"),
        pytest.param("config:\n  a: \x1b[31m\n", 2, "U+001B", id="B07-escape"),
        pytest.param("\ufeff" + GOOD, 1, "byte order mark", id="B08-BOM"),
        pytest.param(GOOD.encode("utf-16"), 1, "not UTF-8", id="B08-UTF-16"),
        pytest.param(b"config:\n  a: \xff\n", 2, "not UTF-8", id="B09-invalid-UTF-8"),
        pytest.param("config:\n  ? [a, b]\n  : c\n", 2, "not text", id="B11-key-is-a-list"),
        pytest.param("config:\n  1: c\n", 2, "not text", id="B11-key-is-a-number"),
        pytest.param("%YAML 1.1\n---\n" + GOOD, 2, "directive", id="B12-other-version-of-YAML"),
        pytest.param("config: !!python/object/apply:os.system [id]\n", 1, "tag", id="B43-object-tag"),
        pytest.param("config:\n  a: !!binary aGk=\n", 2, "tag", id="B43-binary-tag"),
    ],
)
def test_files_that_are_not_plain_yaml_are_refused(
    tmp_path: Path, content: str | bytes, line: int | None, reason: str
) -> None:
    """The file as a whole: B01-B09, B11, B12 and B43."""
    (problem,) = problems(tmp_path, content)
    assert problem.line == line
    assert reason in problem.reason


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    """50 MB are refused for their size (B06); the file is sparse, and only its beginning is read."""
    path = tmp_path / "Pulumi.dev.yaml"
    with path.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    with pytest.raises(ConfigurationError, match="larger than 256 KiB"):
        load_file(path)


class Bad(NamedTuple):
    """One change to the good file, and what must be said about it."""

    row: str
    old: str
    new: str
    line: int
    path: str


BAD = [
    Bad("B10 unknown key", "stackmend:owner", "stackmend:ownr", 3, "config.stackmend:ownr"),
    Bad("B10 key without a namespace", "stackmend:owner:", "owner:", 3, "config.owner"),
    Bad("B10 of the provider", "aws:region: ", "aws:endpoints: []\n  aws:region: ", 2, "config.aws:endpoints"),
    Bad("B10 in a tenant", "tier: gold", "tier: gold\n      colour: red", 9, "tenants[0].colour"),
    Bad("B10 in a size", "max: 4", "max: 4, spare: 1", 10, "tenants[0].size.spare"),
    Bad("B10 top level", "config:", "confg: {}\nconfig:", 1, "confg"),
    Bad("B11 list for text", "owner: platform", "owner: [platform]", 3, "owner"),
    Bad("B11 number for text", "owner: platform", "owner: 7", 3, "owner"),
    Bad("B11 secret for text", "owner: platform", "owner: {secure: v1abc}", 3, "owner"),
    Bad("B11 nothing for text", "owner: platform", "owner:", 3, "owner"),
    Bad("B11 text for list", "[pci-dss]", "pci-dss", 9, "tenants[0].regimes"),
    Bad("B11 text for mapping", "{min: 2, desired: 2, max: 4}", "2", 10, "tenants[0].size"),
    Bad("B11 text for a number", "desired: 2, max: 4", "desired: '2', max: 4", 10, "tenants[0].size.desired"),
    Bad("B11 fraction", "max: 4", "max: 4.0", 10, "tenants[0].size.max"),
    Bad("B11 octal or decimal", "max: 4", "max: 010", 10, "tenants[0].size.max"),
    Bad("B11 hexadecimal", "max: 4", "max: 0x4", 10, "tenants[0].size.max"),
    Bad("B12 yes", "min: 2", "min: yes", 10, "tenants[0].size.min"),
    Bad("B12 true", "min: 2", "min: true", 10, "tenants[0].size.min"),
    Bad("B12 yes for true", "stackmend:owner:", "stackmend:events: yes\n  stackmend:owner:", 3, "events"),
    Bad("B11 number for true", "stackmend:owner:", "stackmend:events: 1\n  stackmend:owner:", 3, "events"),
    Bad("B11 nothing for true", "stackmend:owner:", "stackmend:events:\n  stackmend:owner:", 3, "events"),
    Bad("B13 NaN", "max: 4", "max: .nan", 10, "tenants[0].size.max"),
    Bad("B13 infinity", "max: 4", "max: .inf", 10, "tenants[0].size.max"),
    Bad("B14 -1", "min: 2", "min: -1", 10, "tenants[0].size.min"),
    Bad("B15 0", "min: 2", "min: 0", 10, "tenants[0].size.min"),
    Bad("B16 percentage", "max: 4", "max: 101 %", 10, "tenants[0].size.max"),
    Bad("B17 1e308", "max: 4", "max: 1e308", 10, "tenants[0].size.max"),
    Bad("B17 5000 digits", "max: 4", f"max: {'9' * 5000}", 10, "tenants[0].size.max"),
    Bad("B18 min over desired", "min: 2", "min: 3", 10, "tenants[0].size.min"),
    Bad("B18 no spare place", "max: 4", "max: 2", 10, "tenants[0].size.max"),
    Bad("B19 name of two tenants", "name: globex", "name: acme", 12, "tenants[1].name"),
    Bad("B20 no regimes", "[pci-dss]", "[]", 9, "tenants[0].regimes"),
    Bad("B21 all regimes", "[pci-dss]", "['*']", 9, "tenants[0].regimes[0]"),
    Bad("B29 path", "name: acme", "name: ../acme", 6, "tenants[0].name"),
    Bad("B30 shell", "name: acme", "name: $(id)", 6, "tenants[0].name"),
    Bad("B31 homoglyph", "name: acme", "name: \u0430cme", 6, "tenants[0].name"),
    Bad("B31 right to left", "owner: platform", "owner: plat\u202eform", 3, "owner"),
    Bad("B32 256 characters", "name: acme", f"name: {'a' * 256}", 6, "tenants[0].name"),
    Bad("B33 case", "name: globex", "name: Acme", 12, "tenants[1].name"),
    Bad("B35 reserved", "name: acme", "name: default", 6, "tenants[0].name"),
    Bad("B36 other account", "certificate_arn: arn:aws:acm:eu-west-1:123456789012",
        "certificate_arn: arn:aws:acm:eu-west-1:210987654321", 17, "tenants[1].certificate_arn"),
    Bad("B37 other partition", "arn:aws:acm", "arn:aws-cn:acm", 11, "tenants[0].certificate_arn"),
    Bad("B37 topic's partition", "arn:aws:sns", "arn:aws-us-gov:sns", 4, "alarm_topic_arn"),
    Bad("B38 not an ARN", "arn:aws:sns:eu-west-1:123456789012:alarms", "alarms", 4, "alarm_topic_arn"),
    Bad("B38 topic elsewhere", "sns:eu-west-1", "sns:eu-west-2", 4, "alarm_topic_arn"),
    Bad("B38 FIFO topic", ":alarms", ":alarms.fifo", 4, "alarm_topic_arn"),
    Bad("B39 overlap", "10.0.16.0/20", "10.0.8.0/21", 13, "tenants[1].cidr"),
    Bad("B39 the same", "10.0.16.0/20", "10.0.0.0/20", 13, "tenants[1].cidr"),
    Bad("B40 /33", "10.0.0.0/20", "10.0.0.0/33", 7, "tenants[0].cidr"),
    Bad("B41 IPv6", "10.0.0.0/20", "fd00::/20", 7, "tenants[0].cidr"),
    Bad("B42 everything", "10.0.0.0/20", "0.0.0.0/0", 7, "tenants[0].cidr"),
    Bad("B44 escape in a tag", "owner: platform", 'owner: "\\e[31mplatform"', 3, "owner"),
    Bad("B45 formula in a tag", "owner: platform", "owner: '=cmd()'", 3, "owner"),
    Bad("B46 HTML in a tag", "owner: platform", "owner: <b>platform</b>", 3, "owner"),
    Bad("B48 schema of the future", "stackmend:owner:", "stackmend:schema: 99\n  stackmend:owner:", 3,
        "config.stackmend:schema"),
    Bad("region", "region: eu-west-1", "region: us--1", 2, "region"),
    Bad("region of China", "region: eu-west-1", "region: cn-north-1", 2, "region"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.row)
def test_bad_values_are_refused_with_their_place(tmp_path: Path, bad: Bad) -> None:
    """File, line, path and value of B10-B21, B29-B42, B44-B46 and B48; the row is the name of the case."""
    assert bad.old in GOOD
    found = problems(tmp_path, GOOD.replace(bad.old, bad.new, 1))
    (problem,) = [problem for problem in found if problem.path == bad.path]
    assert problem.line == bad.line
    assert all(line.isprintable() and len(line) < 800 for line in map(str, found))


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    """Three independent mistakes give three lines, each with its own line number."""
    content = (
        GOOD.replace("tier: gold", "tier: platinum").replace("10.0.16.0/20", "nowhere").replace(": platform", ": <")
    )
    assert {(p.line, p.path) for p in problems(tmp_path, content)} == {
        (8, "tenants[0].tier"),
        (13, "tenants[1].cidr"),
        (3, "owner"),
    }


@pytest.mark.parametrize("key", ["aws:region", "stackmend:owner", "stackmend:alarm_topic_arn", "stackmend:tenants"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    """These keys of a cell are required, and its absence is told with what belongs there."""
    values = YAML(typ="safe").load(GOOD)
    del values["config"][key]
    path = tmp_path / "Pulumi.dev.yaml"
    YAML().dump(values, path)
    with pytest.raises(ConfigurationError, match=f"{key.split(':')[1]} is missing; allowed: "):
        load_file(path)


def test_too_many_tenants_belong_into_another_cell(tmp_path: Path) -> None:
    """A cell takes 25 tenants, not 26."""
    head, tenant = (
        GOOD[: GOOD.index("    - name")],
        GOOD[GOOD.index("    - name: acme") : GOOD.index("    - name: globex")],
    )
    many = [tenant.replace("acme", f"t{n:02}").replace("10.0.0.0/20", f"10.0.{n}.0/24") for n in range(26)]
    assert len(load(tmp_path, head + "".join(many[:25])).tenants) == 25
    (problem,) = problems(tmp_path, head + "".join(many))
    assert problem.path == "tenants"


@pytest.mark.parametrize(("cell", "may_float"), [("dev", True), ("dev-7", True), ("devil", False), ("prod", False)])
def test_only_cells_for_development_may_leave_the_image_open(tmp_path: Path, cell: str, may_float: bool) -> None:
    """Elsewhere a tenant without image_id is refused: the newest image moves while the program stays as it is."""
    if may_float:
        assert load(tmp_path, GOOD, cell).for_development
    else:
        (problem,) = problems(tmp_path, GOOD, cell)
        assert (problem.line, problem.path) == (6, "tenants[0].image_id")


@pytest.mark.parametrize(
    "cell", ["Dev", "d", "-dev", "dev-", "a--b", "x" * 31, "prod.eu", "..", "d v", "d\u0435v", "1a"]
)
def test_a_file_with_an_unusable_cell_name_is_refused(tmp_path: Path, cell: str) -> None:
    """The cell's name goes into names and tags, so it is as plain as a tenant's (B29-B33)."""
    assert problems(tmp_path, GOOD, cell)[0].path == "cell"


@pytest.mark.parametrize("name", ["dev.yaml", "Pulumi.yaml", "Pulumi.dev.yml", "Pulumi.dev.json"])
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    """Only Pulumi.<cell>.yaml says which cell it is."""
    (tmp_path / name).write_text(GOOD)
    with pytest.raises(ConfigurationError, match=r"allowed: Pulumi\.<cell>\.yaml"):
        load_file(tmp_path / name)


def test_what_is_not_a_readable_file_is_refused_at_once(tmp_path: Path) -> None:
    """A missing file, a folder, and a pipe that nobody writes into."""
    missing, folder, pipe = (tmp_path / f"Pulumi.{name}.yaml" for name in ("missing", "folder", "pipe"))
    folder.mkdir()
    os.mkfifo(pipe)
    for path, reason in ((missing, "does not exist"), (folder, "is not a file"), (pipe, "is not a file")):
        with pytest.raises(ConfigurationError, match=reason):
            load_file(path)


def test_the_check_command_tells_good_from_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 if all files are good; 1 with a line for each problem, and no traceback, if not."""
    good, bad = tmp_path / "Pulumi.dev.yaml", tmp_path / "Pulumi.dev-2.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("tier: gold", "tier: platinum"))
    assert main([str(good)]) == 0
    assert f"{good}: good" in capsys.readouterr().out
    assert main([str(good), str(bad)]) == 1
    output = capsys.readouterr()
    assert f"{good}: good" in output.out
    assert output.err.strip() == (
        f"{bad}:8: tenants[0].tier: 'platinum' is none of them; allowed: one of gold, silver, bronze"
    )
    assert main([]) == 0
    assert "Pulumi.prod.yaml: good" in capsys.readouterr().out


def test_the_reference_says_what_the_models_allow() -> None:
    """Every field's description, tier's number and regime's source stands in docs/configuration.md word by word."""
    text = (STACKS.parent / "docs" / "configuration.md").read_text()
    for model in (CellConfig, Tenant, Size):
        for name, field in model.model_fields.items():
            assert field.description is not None
            assert field.description in text, name
    for policy in TIERS.values():
        assert f" {policy.healthy_floor_percent} % |" in text
        for seconds in (policy.health_check_grace_seconds, policy.drain_seconds, policy.p99_latency_seconds):
            assert f" {seconds:g} s |" in text
    for regime, demands in REGIMES.items():
        assert f"| {regime} | {demands.log_retention_days} | {demands.source} |" in text
