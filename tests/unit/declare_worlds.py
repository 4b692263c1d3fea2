"""Stack states as the engine writes them, for the tests of reading them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.model import Urn

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc:def"}
STACK = "urn:pulumi:dev::stackmend::pulumi:pulumi:Stack::stackmend-dev"
PROVIDER = "urn:pulumi:dev::stackmend::pulumi:providers:aws::default_7_51_1"
TENANT = "urn:pulumi:dev::stackmend::stackmend:index:Tenant::acme"
NETWORK = "urn:pulumi:dev::stackmend::stackmend:index:Tenant$stackmend:index:Network::acme-network"


def urn(name: str, kind: str = "aws:ec2/vpc:Vpc") -> Urn:
    return Urn(f"urn:pulumi:dev::stackmend::stackmend:index:Tenant$stackmend:index:Network${kind}::{name}")


def tags(tenant: str = "acme", tier: str = "gold", regime: str = "pci-dss soc2") -> dict[str, str]:
    return {"stackmend:tenant": tenant, "stackmend:tier": tier, "stackmend:regime": regime}


def component(urn: str, parent: str | None = STACK) -> dict[str, Any]:
    kind = urn.split("::")[2].split("$")[-1]
    return {"urn": urn, "custom": False, "type": kind} | ({"parent": parent} if parent else {})


def resource(name: str, kind: str = "aws:ec2/vpc:Vpc", parent: str = NETWORK, **changes: Any) -> dict[str, Any]:
    """A custom resource; ``inputs`` and ``dependencies`` and whatever else can be given."""
    inputs = changes.get("inputs", {"cidrBlock": "10.0.0.0/16"})
    return {
        "urn": urn(name, kind),
        "custom": True,
        "id": f"{name}-id",
        "type": kind,
        "inputs": inputs,
        "outputs": {"arn": f"arn:aws:ec2:eu-west-1:123456789012:vpc/{name}"},
        "parent": parent,
        "provider": f"{PROVIDER}::0000-1111",
        "propertyDependencies": {key: [] for key in inputs if key not in {"__defaults", "tagsAll", "region"}},
        "created": "2026-02-01T00:00:00Z",
        "modified": "2026-02-01T00:00:00Z",
    } | changes


def state(resources: Iterable[dict[str, Any]] = (), pending: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """A whole export, with the stack, the provider and the tenant's components before the resources."""
    provider = {
        "urn": PROVIDER,
        "custom": True,
        "id": "0000-1111",
        "type": "pulumi:providers:aws",
        "inputs": {"region": "eu-west-1", "skipCredentialsValidation": "false"},
        "outputs": {"region": "eu-west-1"},
    }
    before = [component(STACK, None), provider, component(TENANT), component(NETWORK, TENANT)]
    deployment = {
        "manifest": {"time": "2026-02-01T00:00:00Z", "magic": "", "version": "v3.259.0"},
        "resources": [*before, *resources],
        "pending_operations": list(pending),
        "metadata": {},
    }
    return {"version": 3, "deployment": deployment}
