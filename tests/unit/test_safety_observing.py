"""Nothing is read of an account that nobody vouches for."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from reconciler.errors import WrongAccount
from reconciler.observe.clients import AccountUnverified, Clients
from reconciler.observe.observe import observe
from tests.unit.observe_worlds import ACCOUNT, REGION, declared, resource


class Recording(Clients):
    """Answers STS as told, and notes which services were asked."""

    def __init__(self, account: str | None) -> None:
        super().__init__(REGION, ACCOUNT)
        self.says = account
        self.asked: list[str] = []

    def call(self, service: str, *_: Any, **__: Any) -> dict[str, Any]:
        self.asked.append(service)
        if self.says is None:
            raise EndpointConnectionError(endpoint_url="https://sts")
        return {"Account": self.says}


@pytest.mark.parametrize(("says", "error"), [("999999999999", WrongAccount), (None, AccountUnverified)])
def test_the_account_is_verified_before_anything_is_read(says: str | None, error: type[Exception]) -> None:
    """B36 I10: credentials of another account, or of one that STS does not name, read nothing at all."""
    clients = Recording(says)
    with pytest.raises(error, match="nothing was read"):
        observe(declared(resource("aws:ec2/vpc:Vpc", "acme-vpc", "vpc-1", {})), clients)
    assert set(clients.asked) == {"sts"}
