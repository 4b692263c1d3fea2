"""Makes up a cell: its tenants, what they need in AWS before the program runs, and its stack configuration file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ruamel.yaml import YAML

from reconciler.errors import ConfigurationError
from stacks.config import MAX_TENANTS, CellConfig, load_file
from tenancy.regimes import Regime
from tenancy.tenant import Size, Tenant
from tenancy.tiers import Tier

REGION = "us-east-1"
OWNER = "platform"

_NAMES = ("acme-bank", "blue-clinic", "corner-shop")
_TIERS = (Tier.GOLD, Tier.SILVER, Tier.BRONZE)
_REGIMES = (Regime.PCI_DSS, Regime.HIPAA, Regime.GDPR, Regime.SOC2)
_SIZES = {
    Tier.GOLD: Size(min=2, desired=3, max=6),
    Tier.SILVER: Size(min=2, desired=2, max=4),
    Tier.BRONZE: Size(min=1, desired=2, max=3),
}


def generate(
    cell: str, count: int, session: boto3.Session, endpoint_url: str, *, keep: CellConfig | None = None
) -> CellConfig:
    """A cell of ``count`` tenants, with a certificate and a machine image for each and an alarm topic, made in AWS.

    The images are the tenants' own, so that a fault of one tenant's image is nobody else's. Tenants that the cell
    has already (``keep``) stay as they are.
    Raises ConfigurationError for a count that no cell may have.
    """
    if not 1 <= count <= MAX_TENANTS:
        raise ConfigurationError(f"a cell has 1 to {MAX_TENANTS} tenants, not {count}", where="--tenants")
    sns = session.client("sns", endpoint_url=endpoint_url)
    acm = session.client("acm", endpoint_url=endpoint_url)
    ec2 = session.client("ec2", endpoint_url=endpoint_url)
    networks = islice(IPv4Network("10.0.0.0/8").subnets(new_prefix=16), 16, None)
    tenants = list(keep.tenants[:count]) if keep else []
    for index, cidr in list(zip(range(count), networks, strict=False))[len(tenants) :]:
        name, tier = tenant_name(index), _TIERS[index % len(_TIERS)]
        certificate, key = self_signed(f"api.{name}.example")
        tenants.append(
            Tenant(
                name=name,
                cidr=cidr,
                tier=tier,
                regimes=frozenset({_REGIMES[index % len(_REGIMES)]}),
                size=_SIZES[tier],
                certificate_arn=acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"],
                image_id=ec2.register_image(Name=f"{cell}-{name}-server", Architecture="x86_64")["ImageId"],
            )
        )
    topic = sns.create_topic(Name=f"stackmend-{cell}-alarms")["TopicArn"]
    return CellConfig(cell=cell, region=REGION, owner=OWNER, alarm_topic_arn=topic, events=True, tenants=tuple(tenants))


def tenant_name(index: int) -> str:
    """Three names that tell a story, then numbered ones, of which some begin like others (tenant-1, tenant-10)."""
    return _NAMES[index] if index < len(_NAMES) else f"tenant-{index - len(_NAMES) + 1}"


def write(config: CellConfig, path: Path) -> None:
    """Write the stack configuration file, keeping what the engine put into it, and check it by the program's rules."""
    tenants = [_plain(tenant) for tenant in config.tenants]
    settings = {
        "aws:region": config.region,
        "stackmend:owner": config.owner,
        "stackmend:alarm_topic_arn": config.alarm_topic_arn,
        "stackmend:events": config.events,
        "stackmend:tenants": tenants,
    }
    yaml = YAML()
    yaml.width = 4096
    path.parent.mkdir(parents=True, exist_ok=True)
    document = yaml.load(path) if path.exists() else {}
    yaml.dump({**document, "config": settings}, path)
    load_file(path)


def _plain(tenant: Tenant) -> dict[str, Any]:
    """Only what differs from the model's defaults, as YAML values in the model's order."""
    return tenant.model_dump(mode="json", exclude_defaults=True)


def self_signed(host: str) -> tuple[bytes, bytes]:
    """A certificate for ``host`` and its private key, both PEM, good for ninety days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
