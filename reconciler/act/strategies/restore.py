"""Set a stateful resource back in place. A key on its way to deletion is called back first.

The engine reads a key that is pending deletion as gone and would create another, under which nothing that was
encrypted can be read. ``kms:CancelKeyDeletion`` leaves the key disabled, so it is enabled as well.
https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html
"""

from __future__ import annotations

from reconciler.act.aws_writes import AwsCallFailed, KeyWrites
from reconciler.act.strategies.base import Strategy
from reconciler.act.tools import Tools
from reconciler.errors import RepairRefused
from reconciler.model import Repair

_KEY = "aws:kms/key:Key"


def _prepare(repair: Repair, tools: Tools) -> None:
    for urn in repair.urns:
        resource = tools.declared.resources.get(urn)
        # Only the engine reaches what is in another region, and it creates nothing that holds state.
        if resource is None or resource.type != _KEY or tools.declared.elsewhere(resource):
            continue
        if resource.tenant != repair.tenant:
            raise RepairRefused("the key belongs to another tenant", where=urn)
        keys = KeyWrites(tools.aws, tools.journal, repair, resource.id)
        state = keys.state()
        if state == "PendingDeletion":
            tools.progress(repair, "cancelling the deletion of the key")
            keys.cancel_deletion()
            state = keys.state()
        if state == "Disabled" and resource.inputs.get("isEnabled") is not False:
            tools.progress(repair, "enabling the key")
            keys.enable()
            state = keys.state()
        if state not in {"Enabled", "Disabled"}:
            raise AwsCallFailed("the key cannot be restored", where=resource.id, why=f"AWS says it is {state}")


STRATEGY = Strategy(
    name="restore",
    does="sets the named stateful resources back in place; never creates, replaces or deletes one",
    operations=frozenset({"update"}),
    prepare=_prepare,
    permissions=("kms:CancelKeyDeletion", "kms:DescribeKey", "kms:EnableKey"),
)
