"""Which template version a group launches now, and whether a server came from another one.

AWS numbers versions, and numbers alone prove nothing: two of them may say the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from reconciler.model import Unreadable
from reconciler.observe.aws._common import together
from reconciler.observe.aws.ec2 import TEMPLATES
from reconciler.observe.aws.ec2_launch import version
from reconciler.observe.reads import Answers, Failed, Missing, More, Row


def current_versions(group: Row, answers: Answers) -> tuple[tuple[str, int], ...] | Unreadable | More:
    """The template versions the group launches now, as (template id, number); several if it mixes templates."""
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    specs = [
        group.get("LaunchTemplate"),
        mixed.get("LaunchTemplateSpecification"),
        *(one.get("LaunchTemplateSpecification") for one in mixed.get("Overrides", ())),
    ]
    current: list[tuple[str, int]] = []
    for spec in filter(None, specs):
        id_, name = spec["LaunchTemplateId"], spec.get("Version") or "$Default"
        if name not in ("$Default", "$Latest"):
            current.append((id_, int(name)))
            continue
        template = TEMPLATES.row(id_, answers)
        if isinstance(template, More):
            return template
        if isinstance(template, Missing | Failed):
            return Unreadable(template.how if isinstance(template, Missing) else template.reason)
        member = "DefaultVersionNumber" if name == "$Default" else "LatestVersionNumber"
        current.append((id_, template[member]))
    return tuple(dict.fromkeys(current))


def outdated(
    inside: Row,
    instance: Row | Missing | Failed | More,
    current: tuple[tuple[str, int], ...] | Unreadable,
    answers: Answers,
) -> bool | Unreadable | More:
    """Whether an instance came from content that its group does not launch any more. Numbers alone prove nothing:
    a new version may say the same, so versions that differ in number are compared by what they hold."""
    if isinstance(current, Unreadable):
        return current
    if not current:
        return False
    launched = _launched_from(inside, instance)
    if launched is None:
        # In no group, and EC2 did not say: it cannot be told.
        return isinstance(inside.get("LaunchConfigurationName"), str) or Unreadable("no template version is noted")
    if launched in current:
        return False
    found = [version(answers, *one) for one in (launched, *current)]
    if (more := together(*found)).reads:
        return more
    contents: list[Any] = []
    for row in found:
        if not isinstance(row, Mapping):
            return Unreadable(row.reason if isinstance(row, Failed) else f"version cannot be compared: {_how(row)}")
        contents.append(ordered(row.get("LaunchTemplateData", {})))
    return contents[0] not in contents[1:]


def ordered(content: Any) -> Any:
    """The content with its lists (tags, groups, devices) in one order: AWS keeps none."""
    if isinstance(content, Mapping):
        return {key: ordered(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return sorted((ordered(value) for value in content), key=partial(json.dumps, sort_keys=True, default=str))
    return content


def _how(row: Missing | More) -> str:
    return row.how if isinstance(row, Missing) else ""


def _launched_from(inside: Row, instance: Row | Missing | Failed | More) -> tuple[str, int] | None:
    """The template version of an instance: as EC2 marked it at launch, or else as its group notes it."""
    if isinstance(instance, Mapping):
        marks = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
        id_, number = marks.get("aws:ec2launchtemplate:id"), marks.get("aws:ec2launchtemplate:version", "")
        if id_ and number.isdigit():
            return id_, int(number)
    noted = inside.get("LaunchTemplate")
    if noted and str(noted.get("Version", "")).isdigit():
        return noted["LaunchTemplateId"], int(noted["Version"])
    return None
