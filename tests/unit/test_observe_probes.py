"""Probes of real servers: what counts as an answer, what costs no more than it may, and where nothing is ever asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Observed, ObservedResource, Presence, Probe, Unreadable, Value
from reconciler.observe import probes
from reconciler.observe.probes import LOAD_BALANCER, Target, objection, probe
from tests.unit.observe_worlds import declared, resource
from tests.unit.probe_worlds import Authority, Site, authority, closed_port, site, status

BALANCER = resource(LOAD_BALANCER, "acme-alb", "arn:aws:elb:alb", {})
DNS = "acme-alb-1.us-east-1.elb.amazonaws.com"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def plain() -> Iterator[Site]:
    with site(status(200)) as running:
        yield running


def target(port: int, **changes: Any) -> Target:
    """Of a server on this machine, asked twice."""
    here = Target(scheme="http", host="127.0.0.1", port=port, samples=2, interval_seconds=0, deadline_seconds=10)
    return replace(here, **changes)


def asked(one: Target, *, resolve: Any = None, **properties: Value) -> Probe | Unreadable:
    seen = ObservedResource(BALANCER.urn, Presence.PRESENT, {"dnsName": DNS, **properties})
    observed = Observed({BALANCER.urn: seen})
    (answer,) = probe(declared(BALANCER), observed, lambda _: one, resolve=resolve).values()
    return answer


def failed(one: Target) -> str:
    """The one reason for which no sample was answered."""
    answer = asked(one)
    assert isinstance(answer, Probe)
    assert answer.answered == 0
    (why,) = answer.failures
    return why


# --- answers --------------------------------------------------------------------------------------------------


def test_an_endpoint_that_answers(plain: Site) -> None:
    """Every sample is a request of its own, for the configured path."""
    answer = asked(target(plain.port, path="/healthz"))
    assert answer == Probe(f"http://127.0.0.1:{plain.port}/healthz", 2, 2)
    assert plain.asked == [(f"127.0.0.1:{plain.port}", "/healthz")] * 2


def test_tls_is_verified_by_the_name_that_is_asked_for(trusted: Authority) -> None:
    """The certificate of the tenant's own domain is accepted for that domain, at whatever address it is asked."""
    with site(status(200), trusted.issue("api.acme.example")) as running:
        one = target(running.port, scheme="https", server_name="api.acme.example", ca_file=trusted.file)
        answer = asked(one)
        assert isinstance(answer, Probe)
        assert (answer.answered, answer.failures) == (2, ())
        assert running.asked[0][0] == f"api.acme.example:{running.port}"


@pytest.mark.parametrize(
    ("name", "days", "trusts", "words"),
    [
        ("api.globex.example", 30, True, "Hostname mismatch"),
        ("api.acme.example", -1, True, "certificate has expired"),
        ("api.acme.example", 30, False, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_no_answer(
    trusted: Authority, name: str, days: int, trusts: bool, words: str
) -> None:
    """Another name, an old certificate or a stranger's: nothing is sent, and the reason is told."""
    with site(status(200), trusted.issue(name, days=days)) as running:
        ca = trusted.file if trusts else None
        one = target(running.port, scheme="https", server_name="api.acme.example", ca_file=ca)
        assert words in failed(one)
        assert running.asked == []


def test_an_unexpected_status_is_no_answer() -> None:
    """503 is not 200, unless it was said to be expected."""
    with site(status(503)) as running:
        assert failed(target(running.port)) == "status 503, expected 200"
        answer = asked(target(running.port, expected=frozenset({200, 503})))
        assert isinstance(answer, Probe)
        assert answer.answered == 2


def test_a_redirect_is_not_followed(plain: Site) -> None:
    """T12: an endpoint cannot send the probe elsewhere."""
    with site(status(302, Location=f"http://127.0.0.1:{plain.port}/secret")) as running:
        assert failed(target(running.port)) == "status 302, expected 200"
    assert plain.asked == []


def test_nobody_listens() -> None:
    """F18: a refused connection is a failed sample, not an error of the scan."""
    assert failed(target(closed_port())).startswith("ConnectError")


def test_a_server_that_drips_runs_into_the_deadline() -> None:
    """F17 F21: each byte comes in time and the answer as a whole does not, which is what the deadline is for."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            running.closing.wait(0.02)
            request.wfile.write(b"X-A: b\r\n")
        request.wfile.write(b"Content-Length: 0\r\n\r\n")

    with site(drip) as running:
        assert failed(target(running.port, deadline_seconds=0.3)) == "no answer within 0.3 s"


def test_an_endless_body_is_not_read_to_its_end() -> None:
    """An answer without an end costs no more than the bytes that are allowed, and counts by its status."""

    def pour(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not running.closing.is_set():
            request.wfile.write(b"x" * 65_536)

    with site(pour) as running:
        answer = asked(target(running.port))
    assert isinstance(answer, Probe)
    assert answer.answered == 2


def test_what_breaks_off_or_is_not_http_is_no_answer() -> None:
    """F16 F18: half an answer and a malformed one fail their samples with the reason."""

    def half(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    def noise(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"\x00\x01 what is this\r\n\r\n")

    for answer in (half, noise):
        with site(answer) as running:
            assert failed(target(running.port)).startswith("RemoteProtocolError")


def test_some_samples_may_fail() -> None:
    """A server that answers every other time: the count says so, and each reason is told once."""
    turns = iter([200, 500, 500, 200])

    def answer_in_turn(request: BaseHTTPRequestHandler) -> None:
        status(next(turns))(request)

    with site(answer_in_turn) as running:
        answer = asked(target(running.port, samples=4))
    assert isinstance(answer, Probe)
    assert (answer.answered, answer.failures) == (2, ("status 500, expected 200",))


def test_proxies_of_this_machine_stay_out(plain: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor its rules decide where a probe goes."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    answer = asked(target(plain.port))
    assert isinstance(answer, Probe)
    assert answer.answered == 2


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    """A wrong ca_file makes the probe unreadable; nothing is asked without verification instead."""
    answer = asked(target(443, scheme="https", ca_file=tmp_path / "none.pem"))
    assert isinstance(answer, Unreadable)
    assert "certificates" in answer.reason


# --- where ----------------------------------------------------------------------------------------------------


class Names:
    """A name service; notes what it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = addresses, list[str]()

    def __call__(self, host: str, _: int) -> Sequence[str]:
        self.asked.append(host)
        return self.addresses


FORBIDDEN = (
    *("169.254.169.254", "fd00:ec2::254", "169.254.1.1", "fe80::1", "::ffff:169.254.169.254"),
    *("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"),  # noqa: S104
    *("2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "2001::1"),
)
PRIVATE = ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1")


@pytest.mark.parametrize("address", [*FORBIDDEN, *PRIVATE])
def test_a_name_that_leads_inside_is_not_asked(plain: Site, address: str) -> None:
    """T12: a tenant may point its domain anywhere, also at one good and one bad address; nothing is sent there."""
    for addresses in ((address,), ("93.184.216.34", address)):
        answer = asked(target(plain.port, host="api.acme.example"), resolve=Names(*addresses))
        assert isinstance(answer, Unreadable)
        assert "was not asked" in answer.reason
    assert plain.asked == []


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_private_endpoint_is_not_this_machine_nor_its_credentials(address: str) -> None:
    """T12: saying that an endpoint is private opens the private ranges and nothing else."""
    found = probes._plain(ipaddress.ip_address(address))
    assert objection(found, private=True, written=False)


def test_what_may_be_asked() -> None:
    """Public addresses, private ones where that is said, and this machine where its address is written out."""
    assert all(objection(ipaddress.ip_address(a), private=True, written=False) == "" for a in PRIVATE)
    assert all(objection(ipaddress.ip_address(a), private=False, written=True) for a in PRIVATE)
    assert objection(ipaddress.ip_address("93.184.216.34"), private=False, written=False) == ""
    assert objection(ipaddress.ip_address("127.0.0.1"), private=False, written=True) == ""
    assert objection(ipaddress.ip_address("169.254.169.254"), private=True, written=True)


def test_the_address_that_was_checked_is_the_one_that_is_asked(plain: Site) -> None:
    """T12: a name is resolved once for all samples, so that it cannot change its mind after the check."""
    names = Names("127.0.0.1")
    answer = asked(target(plain.port), resolve=names)
    assert isinstance(answer, Probe)
    assert names.asked == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
def test_an_address_in_disguise_is_still_this_machine(plain: Site, host: str) -> None:
    """T12: what the resolver takes for an address is checked like one that a name leads to."""
    answer = asked(target(plain.port, host=host))
    assert isinstance(answer, Unreadable)
    assert plain.asked == []


def test_without_a_host_the_load_balancers_own_name_is_asked_for() -> None:
    """T12: it comes from AWS, not from a tag, and both what a tenant can write and its look-alikes are left out."""
    names = Names("10.0.0.1")
    spoofed: dict[str, Value] = {"tags": {"stackmend:endpoint": "evil.example", "dnsName": "evil.example"}}
    answer = asked(target(80, host=""), resolve=names, **spoofed)
    assert isinstance(answer, Unreadable)
    assert names.asked == [DNS]


@pytest.mark.parametrize(
    "name",
    [
        *("evil.example", "acme.elb.amazonaws.com.evil.example", "evil.example/.elb.amazonaws.com", "169.254.169.254"),
        *("elb.amazonaws.com", "", None, Unreadable("denied"), "a b.us-east-1.elb.amazonaws.com"),
    ],
)
def test_what_is_not_a_load_balancers_name_is_not_asked_for(name: Value) -> None:
    """T12: whatever stands where AWS's name should, it is no name of a load balancer."""
    names = Names("93.184.216.34")
    answer = asked(target(80, host=""), resolve=names, dnsName=name)
    assert answer == Unreadable("the load balancer's DNS name is not known")
    assert names.asked == []


def test_a_name_that_cannot_be_resolved_is_unreadable() -> None:
    """F20: no address, no verdict: it says more of this machine than of the endpoint."""

    def broken(host: str, port: int) -> Sequence[str]:
        raise OSError("Temporary failure in name resolution")

    for resolve in (broken, Names()):
        assert isinstance(asked(target(80, host="api.acme.example"), resolve=resolve), Unreadable)


def test_a_load_balancer_that_is_not_seen_is_not_asked_for() -> None:
    """I06: without a name from AWS there is nothing to ask."""
    found = probe(declared(BALANCER), Observed({}), lambda _: target(80, host=""))
    assert isinstance(found[BALANCER.urn], Unreadable)


def test_nobody_is_asked_without_a_target(plain: Site) -> None:
    """Probes are off until the operator says whom to ask, and one host is asked once."""
    second = resource(LOAD_BALANCER, "acme-nlb", "arn:aws:elb:nlb", {})
    world = declared(BALANCER, second, resource("aws:ec2/vpc:Vpc", "acme-vpc", "vpc-1", {}))
    assert probe(world, Observed({}), lambda _: None) == {}
    found = probe(world, Observed({}), lambda _: target(plain.port))
    assert set(found) == {BALANCER.urn}
    assert probe(world, Observed({}), lambda _: target(plain.port), only=lambda _: False) == {}


def test_a_bug_costs_its_own_probe_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in here is unreadable with the reason, and never ends the scan."""

    def crash(*_: object, **__: object) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(probes, "objection", crash)
    answer = asked(target(80))
    assert isinstance(answer, Unreadable)
    assert "a bug" in answer.reason
