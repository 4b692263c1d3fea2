"""The Pulumi CLI on the PATH, asked for its version once per process: a start of it costs as much as a look at AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from pulumi.automation import PulumiCommand
from semver import VersionInfo

from reconciler.errors import EngineError

OLDEST = VersionInfo.parse(metadata.version("pulumi"))
"""That of the Python SDK: an older engine may not know what the SDK asks of it."""


class PulumiCli(PulumiCommand):
    """The CLI found on the PATH of ``env``. Raises EngineError if there is none that can be used."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        found = shutil.which("pulumi", path=env.get("PATH"))
        if found is None:
            raise EngineError("the Pulumi CLI is not on the PATH", todo="run `make setup`, or install Pulumi")
        self.command = found
        self.version = found_version = _version(found, Path(found).stat().st_mtime_ns, env.get("PULUMI_HOME", ""))
        if found_version.major != OLDEST.major or found_version < OLDEST:
            raise EngineError(
                "this Pulumi CLI cannot be used",
                where=found,
                why=f"it is {found_version}; needed is {OLDEST} or a newer {OLDEST.major}.x",
                todo="run `make setup`, or install a newer Pulumi",
            )


@cache
def _version(cli: str, _changed_ns: int, pulumi_home: str) -> VersionInfo:
    """Asked again if the CLI's file has changed."""
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"} | ({"PULUMI_HOME": pulumi_home} if pulumi_home else {})
    answer = subprocess.run([cli, "version"], env=env, capture_output=True, text=True, check=False)
    try:
        return VersionInfo.parse(answer.stdout.strip().removeprefix("v"))
    except ValueError:
        raise EngineError("the Pulumi CLI does not tell its version", where=cli, why=answer.stderr) from None
