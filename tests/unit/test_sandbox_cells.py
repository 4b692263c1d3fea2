"""The cells that the sandbox makes up are cells that the program accepts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.errors import ConfigurationError
from sandbox import cells
from sandbox.lifecycle import Sandbox
from stacks.config import MAX_TENANTS, CellConfig, load_file
from tenancy.regimes import Regime
from tenancy.tiers import Tier
from tests.unit.sandbox_worlds import client, running

COUNTS = st.integers(1, MAX_TENANTS)


class MadeUpAws:
    """Answers the calls that prepare a cell, each time with another ARN or id, and remembers them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def client(self, _service: str, **_: Any) -> Any:
        return SimpleNamespace(
            import_certificate=self._certificate, register_image=self._image, create_topic=self._topic
        )

    def _next(self, call: str) -> str:
        self.calls.append(call)
        return f"{len(self.calls):012x}"

    def _certificate(self, **_: Any) -> Any:
        uuid = f"00000000-0000-4000-8000-{self._next('certificate')}"
        return {"CertificateArn": f"arn:aws:acm:us-east-1:123456789012:certificate/{uuid}"}

    def _image(self, **_: Any) -> Any:
        return {"ImageId": f"ami-00000{self._next('image')}"}

    def _topic(self, **params: Any) -> Any:
        return {"TopicArn": f"arn:aws:sns:us-east-1:123456789012:{params['Name']}"}


def generate(count: int, keep: CellConfig | None = None) -> CellConfig:
    return cells.generate("dev", count, MadeUpAws(), "", keep=keep)  # type: ignore[arg-type]


@given(COUNTS)
def test_tenants_cycle_through_tiers_and_regimes(count: int) -> None:
    """Any allowed number of tenants makes a valid cell, with a network and an image for each and all kinds used."""
    tenants = generate(count).tenants
    assert len(tenants) == count
    assert {t.tier for t in tenants} == set(list(Tier)[:count])
    assert frozenset[Regime]().union(*(t.regimes for t in tenants)) == set(list(Regime)[:count])
    assert len({t.image_id for t in tenants}) == count
    assert all(t.cidr.subnet_of(IPv4Network("10.0.0.0/8")) for t in tenants)


def test_the_first_three_tenants_tell_a_story() -> None:
    """The demonstration's tenants keep their names, tiers and regimes."""
    first = [(t.name, t.tier.value, *sorted(t.regimes)) for t in generate(3).tenants]
    assert first == [
        ("acme-bank", "gold", "pci-dss"),
        ("blue-clinic", "silver", "hipaa"),
        ("corner-shop", "bronze", "gdpr"),
    ]


@given(COUNTS, COUNTS)
def test_growing_or_shrinking_a_cell_leaves_its_tenants_as_they_are(before: int, after: int) -> None:
    """Tenants that stay keep their certificates, images and networks, or an update would replace their servers."""
    old = generate(before)
    new = generate(after, keep=old)
    stay = min(before, after)
    assert new.tenants[:stay] == old.tenants[:stay]
    assert len(new.tenants) == after


@pytest.mark.parametrize("count", [-1, 0, MAX_TENANTS + 1])
def test_an_impossible_number_of_tenants_is_refused(count: int) -> None:
    """B14, B15: the message says how many a cell may have."""
    with pytest.raises(ConfigurationError, match=f"1 to {MAX_TENANTS} tenants, not {count}"):
        generate(count)


def test_the_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """The stack configuration file holds the whole cell, and keeps what the engine wrote into it."""
    path = tmp_path / "Pulumi.dev.yaml"
    cells.write(generate(2), path)
    path.write_text(path.read_text() + "encryptionsalt: v1:abc\n")
    grown = generate(4)
    cells.write(grown, path)
    assert load_file(path) == grown
    assert YAML(typ="safe").load(path)["encryptionsalt"] == "v1:abc"


def test_a_certificate_is_for_its_host() -> None:
    """The self-signed certificate names the host and fits its key."""
    certificate, key = cells.self_signed("api.acme.example")
    parsed = x509.load_pem_x509_certificate(certificate)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.acme.example"]
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("cells") / "home") as sandbox:
        yield sandbox


def test_what_the_tenants_need_exists_in_aws(sandbox: Sandbox) -> None:
    """The certificates, images and the alarm topic of a generated cell are there to be used."""
    config = cells.generate("dev", 3, sandbox.session(), sandbox.url)
    acm, ec2, sns = (client(sandbox, service) for service in ("acm", "ec2", "sns"))
    held = {c["CertificateArn"] for c in acm.list_certificates()["CertificateSummaryList"]}
    images = ec2.describe_images(ImageIds=[t.image_id for t in config.tenants])["Images"]
    assert {t.certificate_arn for t in config.tenants} <= held
    assert len(images) == 3
    assert config.alarm_topic_arn in [t["TopicArn"] for t in sns.list_topics()["Topics"]]
