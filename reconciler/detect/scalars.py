"""Single values that AWS and providers write in more than one way: numbers and switches as text, names for ARNs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from reconciler.model import Value

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_BOOLEANS = {"true": True, "false": False}

STANDS_FOR: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {
    ("aws:ssm/parameter:Parameter", "tier"): {"Intelligent-Tiering": frozenset({"Standard", "Advanced"})},
}
"""By type and property: declared words that let the service choose, and what it may answer with.

For types without an observer, where nothing but a fact about the type can tell (AWS, "Managing parameter tiers").
"""


def _same_letters(want: str, have: str) -> bool:
    return want.lower() == have.lower()


def _same_domain(want: str, have: str) -> bool:
    return want.lower().removesuffix(".") == have.lower().removesuffix(".")


def _same_target(want: str, have: str) -> bool:
    return _same_domain(want.lower().removeprefix("dualstack."), have.lower().removeprefix("dualstack."))


def _chosen_version(want: str, have: str) -> bool:
    """Whether the declared version left the rest of the live one open: 16 may be 16.4, and 1 is not 16."""
    return have.startswith(f"{want}.")


SPELLED: Mapping[tuple[str, str], Callable[[str, str], bool]] = {
    ("aws:acm/certificate:Certificate", "domainName"): _same_domain,
    ("aws:acm/certificate:Certificate", "subjectAlternativeNames[]"): _same_domain,
    ("aws:elasticache/cluster:Cluster", "clusterId"): _same_letters,
    ("aws:elasticache/cluster:Cluster", "maintenanceWindow"): _same_letters,
    ("aws:elasticache/replicationGroup:ReplicationGroup", "maintenanceWindow"): _same_letters,
    ("aws:elasticache/replicationGroup:ReplicationGroup", "replicationGroupId"): _same_letters,
    ("aws:rds/cluster:Cluster", "clusterIdentifier"): _same_letters,
    ("aws:rds/cluster:Cluster", "dbSubnetGroupName"): _same_letters,
    ("aws:rds/cluster:Cluster", "engineVersion"): _chosen_version,
    ("aws:rds/cluster:Cluster", "preferredMaintenanceWindow"): _same_letters,
    ("aws:rds/clusterInstance:ClusterInstance", "engineVersion"): _chosen_version,
    ("aws:rds/clusterInstance:ClusterInstance", "identifier"): _same_letters,
    ("aws:rds/clusterInstance:ClusterInstance", "preferredMaintenanceWindow"): _same_letters,
    ("aws:rds/instance:Instance", "dbSubnetGroupName"): _same_letters,
    ("aws:rds/instance:Instance", "engineVersion"): _chosen_version,
    ("aws:rds/instance:Instance", "identifier"): _same_letters,
    ("aws:rds/instance:Instance", "maintenanceWindow"): _same_letters,
    ("aws:route53/record:Record", "aliases[].name"): _same_target,
    ("aws:route53/record:Record", "name"): _same_domain,
    ("aws:route53/zone:Zone", "name"): _same_domain,
}
"""By type and property: what two texts have in common that say the same. Nothing here says who has access.

Domain names ignore case (RFC 4343); RDS and ElastiCache keep names and windows in small letters (their API references:
"stored as a lowercase string"); of an engine's version a part may be declared, and of an alias the name with or without
``dualstack.`` (terraform-provider-aws: ``compareActualEngineVersion``, ``normalizeAliasDomainName``).
"""


def same_scalar(want: Value, have: Value) -> bool:
    """Whether both say the same; ``"80"`` is 80 and ``"true"`` is true, but 1 is not true."""
    if isinstance(want, bool) or isinstance(have, bool):
        return boolean(want) is not None and boolean(want) is boolean(have)
    if isinstance(want, int | float) or isinstance(have, int | float):
        left, right = _number(want), _number(have)
        return left is not None and left == right
    return want == have


def same_reference(want: str, have: str) -> bool:
    """Two full ARNs must be one; a bare id or name may be what an ARN says."""
    return want in _names(have) or have in _names(want)


def respelled(token: str, path: str, want: str, have: str) -> bool:
    """Whether two different texts may be one to a type nobody described: a reference, a name, a choice left open.

    Providers drop the scheme of an address (an OpenID provider's ``url``) and the last dot of a domain.
    """
    if same_reference(want, have) or _bare(want) == _bare(have) != "":
        return True
    says_the_same = SPELLED.get((token, path))
    if says_the_same is not None and says_the_same(want, have):
        return True
    return have in STANDS_FOR.get((token, path), {}).get(want, ())


def boolean(value: Value) -> bool | None:
    """True or false, also as the text that says it; None for anything else."""
    return value if isinstance(value, bool) else _BOOLEANS.get(value) if isinstance(value, str) else None


def _number(value: Value) -> Decimal | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _bare(text: str) -> str:
    return text.removeprefix("https://").removesuffix(".")


def _names(reference: str) -> frozenset[str]:
    fields = reference.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return frozenset({reference})
    # The log groups API writes ":*" behind the ARN, other services leave it out.
    arn, resource = reference.removesuffix(":*"), fields[5].removesuffix(":*")
    names = {reference, arn, resource, re.split("[/:]", resource, maxsplit=1)[-1]}
    if fields[2] == "iam":
        names.add(resource.rsplit("/", 1)[-1])  # between the type and the name stands a path
    return frozenset(names)
