"""Asks tenants' endpoints whether they answer, as their users would: what AWS says of itself is only one side.

A probe is a read like any other: what could not be asked is unreadable, with the reason. It asks only where the
operator or the declaration says: a host from the settings, or the DNS name that AWS itself gives a declared load
balancer, never anything that a tenant can write (T12). What a name resolves to is checked, and the connection goes to
that very address, so that a name which changes its mind in between (DNS rebinding) reaches nothing else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import httpx
import structlog

from reconciler.model import Declared, Observed, Presence, Probe, Unreadable, Urn

LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
MOST_BODY_BYTES = 65_536
"""More of an answer is not read: an endless one costs no more than this."""
AT_ONCE = 64
LONGEST_SECONDS = 120.0
"""For all probes of one look together; what was not asked by then is unreadable."""

_LONGEST_WORDS = 200
_OF_A_LOAD_BALANCER = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.elb(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
_METADATA = frozenset({ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")})

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Host and port to addresses. Blocks; raises OSError."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """How one tenant's endpoint is asked, as the operator configured it."""

    scheme: str = "https"
    port: int = 443
    path: str = "/"
    host: str = ""
    """Where it is; empty for the declared load balancer's own DNS name."""
    server_name: str = ""
    """Whom to ask for: the name in the request and, with TLS, in the certificate; empty for the host."""
    expected: frozenset[int] = frozenset({200})
    samples: int = 3
    interval_seconds: float = 0.5
    deadline_seconds: float = 5.0
    """How long one answer may take, from the first packet to the last."""
    private: bool = False
    """Whether its addresses may be private ones."""
    ca_file: Path | None = None
    """Certificates to trust instead of the public ones."""


def probe(
    declared: Declared,
    observed: Observed,
    target_of: Callable[[str], Target | None],
    *,
    only: Callable[[Urn], bool] = lambda _: True,
    resolve: Resolve | None = None,
) -> Mapping[Urn, Probe | Unreadable]:
    """What the endpoints of the tenants that have a target answer, by the URN of their load balancer.

    A tenant whose target names a host has one endpoint, however many load balancers are in front of it.
    """
    asked = [(urn, host, target) for urn, host, target in _asked(declared, observed, target_of) if only(urn)]
    return asyncio.run(_all(asked, resolve or _resolve)) if asked else {}


def _asked(
    declared: Declared, observed: Observed, target_of: Callable[[str], Target | None]
) -> Iterator[tuple[Urn, str | Unreadable, Target]]:
    done = set()
    for urn, resource in declared.resources.items():
        target = target_of(resource.tenant) if resource.type == LOAD_BALANCER and resource.tenant else None
        if target is None or (target.host and resource.tenant in done):
            continue
        done.add(resource.tenant)
        yield urn, target.host or _dns_name(urn, observed), target


def _dns_name(urn: Urn, observed: Observed) -> str | Unreadable:
    """The name that AWS gave the load balancer: nobody else can choose it, and it is checked to be such a name."""
    seen = observed.resources.get(urn)
    if seen is None or seen.presence is not Presence.PRESENT:
        return Unreadable("there is no load balancer to ask, as far as is known")
    name = seen.properties.get("dnsName")
    if not isinstance(name, str) or not _OF_A_LOAD_BALANCER.fullmatch(name.lower()):
        return Unreadable("the load balancer's DNS name is not known")
    return name.lower()


async def _all(
    asked: Sequence[tuple[Urn, str | Unreadable, Target]], resolve: Resolve
) -> Mapping[Urn, Probe | Unreadable]:
    # Not the loop's own pool, which would be waited for: nothing can stop a resolver that gets no answer.
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolve")
    places = asyncio.Semaphore(AT_ONCE)
    contexts: dict[Path | None, ssl.SSLContext] = {}

    async def one(host: str | Unreadable, target: Target) -> Probe | Unreadable:
        if isinstance(host, Unreadable):
            return host
        if target.ca_file not in contexts:
            try:
                contexts[target.ca_file] = _context(target.ca_file)
            except OSError as error:
                return Unreadable(f"the certificates to trust cannot be read: {error}")
        try:
            async with places:
                found = await _addresses(host, target, pool, resolve)
                return found if isinstance(found, Unreadable) else await _ask(found, host, target, contexts)
        except Exception as error:  # noqa: BLE001 - a bug here must cost this probe only, and be seen
            log.error("probe_crashed", host=host, traceback=traceback.format_exc())
            return Unreadable(f"the probe crashed: {type(error).__name__}: {error}")

    tasks = {urn: asyncio.ensure_future(one(host, target)) for urn, host, target in asked}
    try:
        done, late = await asyncio.wait(tasks.values(), timeout=LONGEST_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return {
            urn: task.result() if task in done else Unreadable(f"not asked within {LONGEST_SECONDS:.0f} s")
            for urn, task in tasks.items()
        }
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies the certificate and the name in it; there is no way to turn that off. Raises OSError."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context(trust_env=False)


# --- where to -------------------------------------------------------------------------------------------------


def _resolve(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _addresses(
    host: str, target: Target, pool: ThreadPoolExecutor, resolve: Resolve
) -> tuple[Address, ...] | Unreadable:
    """The addresses to connect to; unreadable if the name has none, or a single one that must not be asked."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(target.deadline_seconds):
            texts = await loop.run_in_executor(pool, partial(resolve, host, target.port))
        found = tuple(dict.fromkeys(_plain(ipaddress.ip_address(text)) for text in texts))
    except (OSError, UnicodeError, ValueError) as error:
        return Unreadable(f"{host} cannot be resolved from here: {error or type(error).__name__}")
    if not found:
        return Unreadable(f"{host} has no address")
    written = host in {str(address) for address in found}
    for address in found:
        if why := objection(address, private=target.private, written=written):
            return Unreadable(f"{host} was not asked: its address {address} {why}")
    return found


def _plain(address: Address) -> Address:
    """An IPv4 address that is dressed up as an IPv6 one, as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def objection(address: Address, *, private: bool, written: bool) -> str:
    """Why an address must not be asked; empty if it may be.

    ``written``: the operator wrote the address itself, not a name. A name is somebody's to point anywhere.
    """
    if address in _METADATA or address.is_link_local:
        return "is link-local, where instances keep their credentials"
    if address.is_multicast or address.is_unspecified:
        return "is no single machine's"
    if isinstance(address, ipaddress.IPv6Address) and (address.sixtofour or address.teredo):
        return "hides another one"
    if address.is_loopback:
        return "" if written else "is this machine's own"
    if address.is_reserved:
        return "is reserved"
    return "" if private or address.is_global else "is private, which its target does not say it is"


# --- asking ---------------------------------------------------------------------------------------------------


async def _ask(
    addresses: Sequence[Address], host: str, target: Target, contexts: Mapping[Path | None, ssl.SSLContext]
) -> Probe:
    """Every sample on a connection of its own, the addresses in turn. Proxies and .netrc of this machine stay out."""
    failures: dict[str, None] = {}
    answered = 0
    async with httpx.AsyncClient(
        verify=contexts[target.ca_file],
        trust_env=False,
        follow_redirects=False,
        timeout=target.deadline_seconds,
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        for number in range(target.samples):
            if number:
                await asyncio.sleep(target.interval_seconds)
            why = await _sample(client, addresses[number % len(addresses)], target.server_name or host, target)
            if why:
                failures[why[:_LONGEST_WORDS]] = None
            else:
                answered += 1
    url = f"{target.scheme}://{target.server_name or host}:{target.port}{target.path}"
    return Probe(url, target.samples, answered, tuple(failures))


async def _sample(client: httpx.AsyncClient, address: Address, name: str, target: Target) -> str:
    """One question; why its answer is not as expected, or nothing. A redirect is an answer, and is not followed."""
    place = f"[{address}]" if address.version == 6 else str(address)
    usual = target.port == (443 if target.scheme == "https" else 80)
    headers = {"Host": name if usual else f"{name}:{target.port}", "User-Agent": "stackmend-probe", "Accept": "*/*"}
    request = client.build_request(
        "GET",
        f"{target.scheme}://{place}:{target.port}{target.path}",
        headers=headers,
        extensions={"sni_hostname": name},
    )
    try:
        # httpx's own time-outs are for each read: a server that drips would never run into one.
        async with asyncio.timeout(target.deadline_seconds):
            response = await client.send(request, stream=True)
            try:
                size = 0
                # Raw: what is packed stays packed, so that a small answer cannot become a large one.
                async for part in response.aiter_raw():
                    size += len(part)
                    if size >= MOST_BODY_BYTES:
                        break
            finally:
                await response.aclose()
    except TimeoutError:
        return f"no answer within {target.deadline_seconds:g} s"
    except httpx.TimeoutException:
        return f"no answer within {target.deadline_seconds:g} s"
    except (httpx.HTTPError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if response.status_code in target.expected:
        return ""
    expected = ", ".join(map(str, sorted(target.expected)))
    return f"status {response.status_code}, expected {expected}"
