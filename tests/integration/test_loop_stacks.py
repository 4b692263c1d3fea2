"""The stack files that the repository carries are programs that the engine accepts, for the cells of their names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.lifecycle import REPOSITORY, Sandbox
from stacks.config import load_file

pytestmark = pytest.mark.engine

FILES = sorted((REPOSITORY / "stacks").glob("Pulumi.*.yaml"))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A server without any cell."""
    sandbox = Sandbox("none", home=tmp_path_factory.mktemp("stacks") / "home")
    try:
        sandbox.start()
        yield sandbox
    finally:
        sandbox.down()


def test_there_are_three() -> None:
    """One for each stage, and no other."""
    assert [file.name for file in FILES] == ["Pulumi.dev.yaml", "Pulumi.prod.yaml", "Pulumi.staging.yaml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffixes[0])
def test_previews(sandbox: Sandbox, tmp_path: Path, file: Path) -> None:
    """The real engine previews the whole cell, as many worlds as there are tenants; whoever clones the repository may
    choose the passphrase, and no file of the repository changes."""
    cell = file.suffixes[0].removeprefix(".")
    before = {path: path.read_bytes() for path in (REPOSITORY / "stacks").iterdir() if path.is_file()}
    shutil.copy(file, tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(f"name: stackmend\nruntime: python\nmain: {REPOSITORY / 'stacks'}\n")
    (tmp_path / "state").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("STACKMEND_", "AWS_"))},
        **sandbox.environment(),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "one of my own",
    }
    for command in (["stack", "init", cell], ["preview", "--stack", cell]):
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color", "never", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    worlds = len(load_file(file).tenants)
    assert done.stdout.count("stackmend:index:Tenant ") == worlds
    assert done.stdout.count("aws:ec2:Vpc ") == worlds
    assert before == {path: path.read_bytes() for path in (REPOSITORY / "stacks").iterdir() if path.is_file()}
