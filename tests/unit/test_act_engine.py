"""What the engine's CLI is asked for, with a script in its place that notes every command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from pulumi.automation import ProjectRuntimeInfo, ProjectSettings

from reconciler.act import warm
from reconciler.act.engine import Engine
from reconciler.act.steps import EnginePlan
from reconciler.model import Urn

A, B = Urn("urn:pulumi:dev::tests::test:index:Thing::a"), Urn("urn:pulumi:dev::tests::test:index:Thing::b")
SCRIPT = """#!/bin/sh
echo "$*" >> asked
case "$*" in
  version) echo v3.259.0 ;;
  *export*) cat state ;;
esac
"""


class Cli:
    """A project folder with a CLI that answers what it must."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "pulumi").write_text(SCRIPT)
        (home / "pulumi").chmod(0o755)
        (home / "Pulumi.yaml").write_text("name: tests\nruntime: python\n")
        self.holds(A)

    def holds(self, *urns: Urn) -> None:
        resources = [{"urn": urn} for urn in urns]
        (self.home / "state").write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))

    def engine(self, **env: str) -> Engine:
        path = f"{self.home}{os.pathsep}{os.environ['PATH']}"
        return Engine(self.home, "dev", None, {"PATH": path, "PULUMI_BACKEND_URL": "file:///there", **env})

    def asked(self) -> list[str]:
        """What was asked, without the version and what every command has in front."""
        lines = (self.home / "asked").read_text().splitlines()
        return [line.removeprefix("--non-interactive ") for line in lines if line != "version"]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path)


def test_an_update_is_one_command(cli: Cli) -> None:
    """An update selects no stack, and reads neither outputs nor history afterwards: no secret is opened (I13)."""
    with cli.engine() as engine:
        engine.up([A], EnginePlan(()))
    (command,) = cli.asked()
    assert command.startswith("up ")
    assert "--show-secrets" not in command


def test_the_state_is_read_once_between_writes(cli: Cli) -> None:
    """What a look has just read of the state is not read again, until the engine has written to it."""
    with cli.engine() as engine:
        assert engine.recorded([A, B]) == {A}
        engine.known({A, B})
        assert engine.recorded([A, B]) == {A, B}
        assert (len(cli.asked()), engine.changes) == (1, 0)
        engine.up([A], EnginePlan(()))
        assert engine.recorded([A, B]) == {A}
        assert engine.changes == 1
    assert ["export" in command for command in cli.asked()] == [True, False, True]


def test_the_backend_is_only_asked_for_if_the_environment_does_not_tell(cli: Cli) -> None:
    """Where the locks of a file backend are is known from the environment."""
    with cli.engine() as engine:
        assert engine.lock_directory() == Path("/there/.pulumi/locks/organization/tests/dev")
        assert not (cli.home / "asked").exists() or cli.asked() == []


def test_the_libraries_of_types() -> None:
    """A type names its SDK's module; what is no such name is left out."""
    types = ["aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "kubernetes:apps/v1:Deployment", "stackmend:index:Tenant", "x"]
    assert warm.libraries([*types, "aws:../x:Y", "a b:c:D"]) == [
        "pulumi",
        "pulumi_aws",
        "pulumi_aws.ec2",
        "pulumi_kubernetes",
        "pulumi_kubernetes.apps",
        "pulumi_stackmend",
        "pulumi_stackmend.index",
    ]


@pytest.mark.parametrize(
    ("runtime", "usable"),
    [
        ("python", True),
        (ProjectRuntimeInfo("python"), True),
        (ProjectRuntimeInfo("python", {"virtualenv": "venv"}), True),
        (ProjectRuntimeInfo("python", {"virtualenv": "other"}), False),
        (ProjectRuntimeInfo("python", {"virtualenv": "missing"}), False),
        (ProjectRuntimeInfo("python", {"typechecker": "mypy"}), False),
        (ProjectRuntimeInfo("python", {"toolchain": "poetry"}), False),
        ("nodejs", False),
    ],
    ids=lambda value: value if isinstance(value, str | bool) else f"{value.name} {value.options}",
)
def test_only_what_runs_here_gets_a_head_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str | ProjectRuntimeInfo, usable: bool
) -> None:
    """A program that the engine would run in another interpreter, or in a way not known here, is left to it."""
    for name in ("venv", "other"):
        (tmp_path / name / "bin").mkdir(parents=True)
    for name in ("python3", "pulumi-language-python-exec"):
        (tmp_path / "venv" / "bin" / name).write_text("")
        (tmp_path / "venv" / "bin" / name).chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(sys, "platform", "linux")
    project = ProjectSettings("tests", runtime)
    script = warm.executor(project, tmp_path, {"PATH": str(tmp_path / "venv" / "bin")})
    assert (script is not None) is usable
    (tmp_path / "venv" / "bin" / "pulumi-language-python-exec").unlink()
    assert warm.executor(project, tmp_path, {"PATH": str(tmp_path / "venv" / "bin")}) is None
