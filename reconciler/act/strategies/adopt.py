"""Take what an interrupted update made into the state, instead of creating a second one.

The state's entry of a resource that is gone gets the id of the one that was made for it. The engine then reads that one
and sets it, and whatever refers to it, to what the program declares, like any other drift.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from reconciler.act.strategies.base import Strategy
from reconciler.act.strategies.recreate import STRATEGY as RECREATE
from reconciler.act.tools import Tools
from reconciler.errors import RepairRefused
from reconciler.model import Repair, Urn


def _prepare(repair: Repair, tools: Tools) -> None:
    if tools.state is None:
        raise RepairRefused("the state cannot be written here", where=repair.id)
    if len(repair.members) != 1:
        raise RepairRefused("an adoption concerns exactly one live resource", where=repair.id)
    (id_,) = repair.members
    urn = repair.adopts
    resource = tools.declared.resources.get(urn)
    kind = tools.kinds.get(resource.type) if resource else None
    if resource is None or urn not in repair.urns or resource.tenant != repair.tenant:
        raise RepairRefused("this is not the tenant's to adopt", where=urn)
    if kind is None or kind.stateful or resource.protect:
        raise RepairRefused("it holds state: a person decides which of the two is the right one", where=urn)
    if any(r.id == id_ for r in tools.declared.resources.values() if r.urn != urn):
        raise RepairRefused("another resource is declared with it", where=id_)
    before = tools.state.export()
    after = taken_in(before, urn, was=resource.id, id_=id_, physical_name=repair.physical_name)
    if after != before:
        tools.journal.ensure_held([repair.tenant] if repair.tenant is not None else [])
        tools.progress(repair, f"taking {id_} into the state in place of {resource.id}")
        tools.noted(repair)
        tools.state.import_(after)


def taken_in(document: Mapping[str, Any], urn: Urn, *, was: str, id_: str, physical_name: str) -> dict[str, Any]:
    """The state with ``id_`` in place of ``was``. Doing it twice changes nothing more. Raises RepairRefused.

    A name that the provider made up for the old one (``acme-api-1a2b3c4``) becomes that of the new one: names cannot be
    changed, so the old one would have the engine replace what was just adopted.
    """
    adopted: dict[str, Any] = copy.deepcopy(dict(document))
    entries = [r for r in adopted["deployment"].get("resources") or () if r["urn"] == urn and not r.get("delete")]
    if len(entries) != 1 or entries[0].get("id") not in (was, id_):
        raise RepairRefused("the state has changed meanwhile", where=urn)
    (entry,) = entries
    entry["id"] = id_
    made_up = re.compile(rf"{re.escape(urn.rsplit('::', 1)[-1])}-[0-9a-f]{{7}}")
    for values in (entry.get("inputs") or {}, entry.get("outputs") or {}):
        for name, value in values.items():
            if physical_name and isinstance(value, str) and made_up.fullmatch(value):
                values[name] = physical_name
    if "id" in (entry.get("outputs") or {}):
        entry["outputs"]["id"] = id_
    return adopted


STRATEGY = Strategy(
    name="adopt",
    does="takes what an interrupted update made into the state, and sets it and what refers to it as declared",
    operations=frozenset({"update"}),
    replaceable=RECREATE.replaceable,
    prepare=_prepare,
)
