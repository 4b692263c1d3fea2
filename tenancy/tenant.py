"""A tenant: the noun that the program builds a world for and the reconciler keeps whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tenancy import arns
from tenancy.regimes import Regime
from tenancy.tiers import Tier

PRIVATE_RANGES = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""RFC 1918 and RFC 6598. A network of public addresses would hide their real owners from the tenant's servers."""

SUBNETS = 4
"""A tenant's network is cut into this many equal subnets."""

_RESERVED_BY_AWS = 5
"""Addresses AWS keeps in every subnet: the first four and the last."""

RESERVED_NAMES = frozenset(
    {
        *("admin", "all", "amazon", "any", "aws", "default", "global", "none", "null"),
        *("platform", "private", "public", "root", "shared", "stackmend", "system"),
    }
)
"""Names that mean something else somewhere: a selector, an account, an alias prefix, this product itself."""

_REFUSED_PREFIXES = ("amzn-s3-demo-", "internal-", "sg-", "sthree-")
"""Resource names start with the tenant's name, and AWS refuses these starts: buckets (``amzn-s3-demo-``, ``sthree-``),
load balancers (``internal-``), security groups (``sg-``)."""

_NAME = re.compile(r"[a-z][a-z0-9-]{1,19}")
_NETWORK = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}")

NAME_ALLOWED = (
    "2 to 20 of a-z, 0-9 and single dashes, starting with a letter and ending with a letter or digit; not a reserved "
    f"word ({', '.join(sorted(RESERVED_NAMES))}); not starting with {', '.join(_REFUSED_PREFIXES)}"
)
CIDR_ALLOWED = (
    f"an IPv4 network /16 to /24 inside {', '.join(str(n) for n in PRIVATE_RANGES)}, apart from every other tenant's"
)
SIZE_ALLOWED = (
    "1 <= min <= desired < max <= 1000, and max servers fit into half of the network; one place above desired stays "
    "free, so that a new server can join before an old one leaves"
)
CERTIFICATE_ALLOWED = "the ARN of an ACM certificate in the cell's region, arn:aws:acm:REGION:ACCOUNT:certificate/UUID"


def refuse(reason: str, at: Iterable[str | int] = ()) -> PydanticCustomError:
    """A refusal for a validator to raise; ``at`` leads from the validated model to the value that is wrong."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason, "at": tuple(at)})


def _network(value: Any) -> Any:
    # ipaddress also reads plain addresses, netmasks and integers; whoever writes one of those means something else.
    if isinstance(value, IPv4Network):
        return value
    if not isinstance(value, str) or not _NETWORK.fullmatch(value):
        raise refuse("is not an IPv4 network")
    try:
        return IPv4Network(value)
    except ValueError as error:
        raise refuse(f"is not an IPv4 network: {str(error).removeprefix(value).lstrip()}") from None


class Size(BaseModel):
    """How many servers a tenant has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: StrictInt = Field(ge=1, le=1000, description=SIZE_ALLOWED)
    desired: StrictInt = Field(ge=1, le=1000, description=SIZE_ALLOWED)
    # 1000 targets is the default quota of a target group.
    max: StrictInt = Field(ge=1, le=1000, description=SIZE_ALLOWED)

    @model_validator(mode="after")
    def _ordered(self) -> Size:
        if self.min > self.desired:
            raise refuse(f"is more than desired ({self.desired})", ("min",))
        if self.desired >= self.max:
            raise refuse(f"is not more than desired ({self.desired})", ("max",))
        return self


class Tenant(BaseModel):
    """One tenant as configured. Frozen; raises pydantic's ValidationError for what is not allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description=NAME_ALLOWED)
    cidr: Annotated[IPv4Network, BeforeValidator(_network)] = Field(description=CIDR_ALLOWED)
    tier: Tier = Field(description=f"one of {', '.join(Tier)}")
    regimes: frozenset[Regime] = Field(description=f"a list of at least one of {', '.join(Regime)}")
    size: Size = Field(description="a mapping of min, desired and max")
    certificate_arn: str = Field(description=CERTIFICATE_ALLOWED)
    instance_type: str = Field(
        default="t3.small",
        pattern=r"^[a-z][a-z0-9-]{1,15}\.[a-z0-9-]{1,20}$",
        description="an EC2 instance type such as t3.small, the default",
    )
    image_id: str | None = Field(
        default=None,
        pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$",
        description="the id of an image, ami- and 8 or 17 hexadecimal digits; optional only in the cells dev and dev-…",
    )

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise refuse("is not a tenant name")
        if name.endswith("-") or "--" in name:
            raise refuse("has a dash at its end or two in a row")
        if name in RESERVED_NAMES:
            raise refuse("is a reserved word")
        if f"{name}-".startswith(_REFUSED_PREFIXES):
            raise refuse("starts in a way that AWS refuses in names")
        return name

    @field_validator("cidr")
    @classmethod
    def _usable_network(cls, cidr: IPv4Network) -> IPv4Network:
        if not 16 <= cidr.prefixlen <= 24:
            raise refuse(f"has the prefix length /{cidr.prefixlen}")
        if not any(cidr.subnet_of(private) for private in PRIVATE_RANGES):
            raise refuse("is not a private network")
        return cidr

    @field_validator("regimes")
    @classmethod
    def _some_regime(cls, regimes: frozenset[Regime]) -> frozenset[Regime]:
        if not regimes:
            raise refuse("is empty")
        return regimes

    @field_validator("certificate_arn")
    @classmethod
    def _is_certificate(cls, text: str) -> str:
        try:
            arns.certificate(text)
        except ValueError as error:
            raise refuse(str(error)) from None
        return text

    @model_validator(mode="after")
    def _servers_fit(self) -> Tenant:
        room = (SUBNETS // 2) * (self.cidr.num_addresses // SUBNETS - _RESERVED_BY_AWS)
        if self.size.max > room:
            raise refuse(f"is more than the {room} addresses of the private subnets", ("size", "max"))
        return self

    def subnets(self) -> tuple[IPv4Network, IPv4Network, IPv4Network, IPv4Network]:
        """The four equal subnets in address order: public a, public b, private a, private b."""
        public_a, public_b, private_a, private_b = self.cidr.subnets(prefixlen_diff=2)
        return public_a, public_b, private_a, private_b
