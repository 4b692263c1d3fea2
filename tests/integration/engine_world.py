"""A deployed stack of two tenants on the directory provider, for tests that need the real engine and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.act.engine import Engine
from reconciler.act.process import EngineCommand
from reconciler.model import Declared, DeclaredResource, ResourceKind, Urn

ROOT = Path(__file__).parents[2]
TYPE = "test:index:Thing"
STORE = "test:index:Store"
KINDS = {TYPE: ResourceKind(TYPE), STORE: ResourceKind(STORE, stateful=True)}

PROGRAM = """
import pulumi

class Thing(pulumi.CustomResource):
    def __init__(self, name, properties, kind="Thing", **options):
        super().__init__(f"test:index:{kind}", name, {"name": name, **properties}, pulumi.ResourceOptions(**options))

for tenant in ("acme", "globex"):
    parent = pulumi.ComponentResource("test:index:Tenant", tenant)
    base = Thing(f"{tenant}-base", {"colour": "blue", "kind": "x"}, parent=parent)
    Thing(f"{tenant}-user", {"colour": "blue", "needs": base.id}, parent=parent)
    Thing(f"{tenant}-bound", {"kind": base.id}, parent=parent)
    Thing(f"{tenant}-store", {"colour": "blue", "kind": "x"}, kind="Store", parent=parent)
Thing("guarded", {"colour": "blue", "kind": "x", "secret": pulumi.Output.secret("hush")}, protect=True)
"""


class World:
    """The stack, and the cloud it is in."""

    def __init__(self, directory: Path, copy_of: World | None = None) -> None:
        cli = os.environ.get("STACKMEND_PULUMI_BIN") or str(ROOT / ".toolchain" / "bin")
        found = shutil.which("pulumi", path=cli) or shutil.which("pulumi")
        if found is None:
            pytest.skip(f"no Pulumi CLI: not in {cli} (STACKMEND_PULUMI_BIN), not on the PATH; run tools/setup.sh")
        self.project, self.cloud = directory / "project", directory / "cloud"
        plugins, shims = directory / "bin", directory / "shims"
        self.directory = directory
        if copy_of:
            shutil.copytree(copy_of.directory, directory, dirs_exist_ok=True)
        for place in (self.project, self.cloud, plugins, shims, directory / "state"):
            place.mkdir(exist_ok=True)
        (self.project / "Pulumi.yaml").write_text("name: tests\nruntime: python\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        plugin = plugins / "pulumi-resource-test"
        plugin.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / "engine_provider.py"} "$@"\n')
        plugin.chmod(0o755)
        if importlib.util.find_spec("pip") is None:
            # The language host asks pip what is installed; nothing is needed here.
            (shims / "pip.py").write_text('print("[]")\n')
        path = [plugins, Path(sys.executable).parent, Path(found).parent]
        self.env = {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PYTHONPATH": str(shims),
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "TEST_CLOUD": str(self.cloud),
        }
        if copy_of is None:
            self._deploy()

    def _deploy(self) -> None:
        command = EngineCommand(self.env, timeout=120, grace=10)
        for words in ("stack init dev", "up --yes --skip-preview --stack dev"):
            command.run(words.split(), str(self.project), {})

    def engine(self, **options: Any) -> Engine:
        return Engine(self.project, "dev", None, self.env, **options)

    def urn(self, name: str) -> Urn:
        kind = "Store" if name.endswith("-store") else "Thing"
        parent = "" if "-" not in name else "test:index:Tenant$"
        return Urn(f"urn:pulumi:dev::tests::{parent}test:index:{kind}::{name}")

    def id(self, name: str) -> str:
        return self.declared().resources[self.urn(name)].id

    def declared(self) -> Declared:
        with self.engine() as engine:
            document = engine.export()
        resources = {
            Urn(r["urn"]): DeclaredResource(
                urn=Urn(r["urn"]),
                type=r["type"],
                name=r["urn"].rsplit("::", 1)[-1],
                id=r["id"],
                inputs=r.get("inputs", {}),
                tenant=r["urn"].rsplit("::", 1)[-1].split("-")[0] if "-" in r["urn"].rsplit("::", 1)[-1] else None,
                protect=r.get("protect", False),
            )
            for r in document["deployment"]["resources"]
            if r["custom"] and r["type"].startswith("test:")
        }
        return Declared("dev", "tests", "", "", resources)

    def live(self) -> dict[str, Mapping[str, Any]]:
        """What is in the cloud, by name."""
        found = (json.loads(p.read_text()) for p in self.cloud.glob("*.json"))
        return {one["name"]: one for one in found}

    def files(self, name: str) -> list[Path]:
        return sorted(self.cloud.glob(f"{name}-??????.json"))

    def change(self, name: str, **properties: Any) -> None:
        """Somebody changes a resource by hand."""
        (file,) = self.files(name)
        file.write_text(json.dumps({**json.loads(file.read_text()), **properties}))

    def remove(self, name: str) -> None:
        """Somebody deletes a resource by hand."""
        (file,) = self.files(name)
        file.unlink()

    def fail(self, operation: str, name: str, words: str) -> None:
        """From now on AWS refuses this."""
        (self.cloud / f"fail-{operation}-{name}").write_text(words)

    def hold(self, operation: str, name: str) -> Held:
        """From now on this operation waits for leave."""
        held = Held(self.cloud / f"reached-{operation}-{name}", self.cloud / f"go-{operation}-{name}")
        os.mkfifo(held.reached)
        os.mkfifo(held.go)
        return held


@dataclass(frozen=True)
class Held:
    """An operation that waits."""

    reached: Path
    go: Path

    def await_it(self) -> None:
        """Block until the operation is under way."""
        self.reached.read_text()

    def release(self) -> None:
        self.go.write_text("go")

    def lift(self) -> None:
        """Operations to come do not wait any more."""
        self.reached.unlink()
