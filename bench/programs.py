"""What is run side by side, and how each is started; what cannot be had here is skipped with the reason in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.names import CELL, REGION
from bench.report import Skipped

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLCHAIN = REPOSITORY / ".toolchain"
CUSTODIAN = "c7n==0.9.53"
PROWLER = "prowler>=5,<6"
PROWLER_SERVICES = ("autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "kms", "s3", "vpc")
_OWNED: Mapping[str, object] = {"tag:stackmend:tenant": "absent"}
POLICIES: Mapping[str, tuple[Mapping[str, object], ...]] = {
    "vpc": (_OWNED,),
    "subnet": (_OWNED, {"MapPublicIpOnLaunch": True}),
    "internet-gateway": (_OWNED,),
    "route-table": (_OWNED,),
    "security-group": (_OWNED, {"type": "ingress", "Ports": [22], "Cidr": {"value": "0.0.0.0/0"}}),
    "launch-template-version": ({"LaunchTemplateData.MetadataOptions.HttpTokens": "optional"},),
    "asg": (
        _OWNED,
        {"HealthCheckType": "EC2"},
        {"type": "value", "key": "AvailabilityZones", "value_type": "size", "op": "lt", "value": 2},
    ),
    "app-elb": (
        _OWNED,
        {"type": "attributes", "key": "routing.http.drop_invalid_header_fields.enabled", "value": False},
        {"type": "listener", "key": "SslPolicy", "value": "ELBSecurityPolicy-2016-08"},
    ),
    "app-elb-target-group": (_OWNED,),
    "s3": (
        _OWNED,
        {"type": "bucket-encryption", "state": False},
        {"type": "check-public-block"},
        {"not": [{"type": "has-statement", "statements": [{"Effect": "Deny"}]}]},
        {"type": "value", "key": "Versioning.Status", "op": "ne", "value": "Enabled"},
    ),
    "kms-key": (
        _OWNED,
        {"KeyState": "PendingDeletion"},
        {"type": "key-rotation-status", "key": "KeyRotationEnabled", "value": False},
    ),
    "alarm": (_OWNED, {"AlarmActions": []}),
    "log-group": (_OWNED, {"retentionInDays": "absent"}, {"kmsKeyId": "absent"}),
    "iam-role": (_OWNED, {"type": "has-inline-policy", "value": True}),
}
"""One policy for each type of the world, by Cloud Custodian's names; its filters ask what stackmend's rules ask."""


@dataclass(frozen=True, slots=True)
class World:
    """A served world: where it is, and the file with its declared state."""

    tenants: int
    port: int
    state: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "PYTHONPATH": str(REPOSITORY),
        }


@dataclass(frozen=True, slots=True)
class Program:
    """How one is started: a command, with its environment and the folder it works in."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


Start = Callable[[World, Path], Program | Skipped]
"""``Path`` is an empty folder of its own."""


def stackmend(world: World, folder: Path, tenant: str = "") -> Program:
    command = (sys.executable, "-m", "bench.scan", str(world.state), *([tenant] if tenant else []))
    return Program(command, world.environment, folder)


def floor(world: World, folder: Path) -> Program:
    return Program((sys.executable, "-m", "bench.floor", str(world.tenants)), world.environment, folder)


def custodian(world: World, folder: Path) -> Program | Skipped:
    home = _installed("bench-custodian", CUSTODIAN)
    if isinstance(home, str):
        return Skipped("Cloud Custodian 0.9.53", world.tenants, home)
    policies = [
        {"name": f"x-{type_}", "resource": f"aws.{type_}", "filters": [{"or": list(asked)}]}
        for type_, asked in POLICIES.items()
    ]
    (folder / "policies.json").write_text(json.dumps({"policies": policies}), "utf-8")
    options = ("--region", REGION, "--cache-period", "0", "--output-dir", str(folder / "out"))
    return Program((str(home / "custodian"), "run", *options, str(folder / "policies.json")), world.environment, folder)


def prowler(world: World, folder: Path) -> Program | Skipped:
    home = _installed("bench-prowler", PROWLER)
    if isinstance(home, str):
        return Skipped("Prowler 5", world.tenants, home)
    options = ("--region", REGION, "--ignore-exit-code-3", "--no-banner", "--output-directory", str(folder))
    command = (str(home / "prowler"), "aws", *options, "--service", *PROWLER_SERVICES)
    return Program(command, world.environment, folder)


def refresh(world: World, folder: Path) -> Program | Skipped:
    """``pulumi refresh --preview-only`` of the same state, through the sandbox's provider."""
    pulumi = next((p for p in (TOOLCHAIN / "bin" / "pulumi",) if p.exists()), None)
    if pulumi is None:
        return Skipped("pulumi refresh --preview-only", world.tenants, "no Pulumi CLI under .toolchain")
    path = os.pathsep.join([str(REPOSITORY / "sandbox" / "bin"), str(TOOLCHAIN / "bin"), str(Path(sys.prefix) / "bin")])
    environment = {
        **world.environment,
        "PATH": os.pathsep.join([path, os.environ.get("PATH", os.defpath)]),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "testing",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    (folder / "Pulumi.yaml").write_text("name: stackmend\nruntime: python\n", "utf-8")
    for arguments in (("stack", "init", CELL), ("stack", "import", "--file", str(world.state))):
        done = subprocess.run(
            [str(pulumi), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = " ".join(done.stderr.split())[:120]
            return Skipped("pulumi refresh --preview-only", world.tenants, f"pulumi {arguments[1]} failed: {why}")
    command = (str(pulumi), "refresh", "--preview-only", "--non-interactive", "--stack", CELL)
    return Program(command, environment, folder)


def _installed(name: str, requirement: str) -> Path | str:
    """The folder with its commands, installed when first asked for; or why it cannot be."""
    home = TOOLCHAIN / name
    done = home / "installed"
    uv = next((str(p) for p in (TOOLCHAIN / "uv" / "bin" / "uv",) if p.exists()), "uv")
    if not (done.exists() and done.read_text("utf-8") == requirement):
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", "3.11", str(home)],
            [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), requirement],
        ):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
            except (OSError, subprocess.SubprocessError) as error:
                words = getattr(error, "stderr", None) or str(error)
                return f"cannot be installed: {' '.join(str(words).split())[:120]}"
        done.write_text(requirement, "utf-8")
    return home / "bin"
