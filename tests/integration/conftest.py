"""One deployed cell of three tenants for all tests of the loop that run in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.lifecycle import Sandbox
from tests.integration.loop import SETTINGS, Cell, wrong


class Deployment:
    """The cell, deployed when it is first asked for, and again if tests that failed have left it broken."""

    def __init__(self, home: Path) -> None:
        self._sandbox = Sandbox("dev", home=home)
        self._up = False

    def cell(self) -> Cell:
        cell = Cell(self._sandbox)
        if self._up:
            self._sandbox.control.clear()
            self._up = not wrong(cell.scan())
        if not self._up:
            self._sandbox.down()
            self._sandbox.up(tenants=3)
            self._up = True
        return cell

    def environment(self) -> dict[str, str]:
        self._sandbox.start()
        return {**self._sandbox.environment(), **SETTINGS}

    def down(self) -> None:
        self._sandbox.down()


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("loop") / "home")
    try:
        yield deployment
    finally:
        deployment.down()


@pytest.fixture(scope="module")
def cell(deployment: Deployment) -> Iterator[Cell]:
    """The cell, as it was deployed, and this process's environment as that of a shell of its sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("STACKMEND_", "AWS_", "PULUMI_"))]:
            patch.delenv(name)
        for name, value in deployment.environment().items():
            patch.setenv(name, value)
        cell = deployment.cell()
        patch.setenv("AWS_ENDPOINT_URL", cell.sandbox.url)
        yield cell
