"""EC2 as AWS answers it: launch templates, tags, and the security groups of a server."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import InvalidLaunchTemplateIdNotFound
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend
from moto.ec2.responses.launch_templates import LaunchTemplates

_int_param = LaunchTemplates._get_int_param
_new_template: Any = LaunchTemplate.__init__
_templates: Any = LaunchTemplateBackend.describe_launch_templates
_new_groups: Any = EC2Backend.modify_instance_security_groups


def without_own_tags(
    self: Any, backend: Any, name: str, template_data: dict[str, Any], *rest: Any, **named: Any
) -> None:
    """A template's own tags are not among those that its instances get; moto puts both into the first version."""
    specifications = template_data.get("TagSpecifications", [])
    template_data["TagSpecifications"] = [s for s in specifications if s["ResourceType"] != "launch-template"]
    _new_template(self, backend, name, template_data, *rest, **named)


def described_templates(
    self: Any, template_names: list[str] | None = None, template_ids: list[str] | None = None, filters: Any = None
) -> Any:
    """An id that no template has is an error on AWS; moto passes over it."""
    if unknown := [i for i in template_ids or () if i not in self.launch_templates]:
        raise InvalidLaunchTemplateIdNotFound(unknown[0])
    return _templates(self, template_names, template_ids, filters)


def unlimited_page(self: Any, name: str, default: int | None = None) -> int | None:
    """moto answers 15 launch templates or versions and no token for the others; nothing on AWS does that."""
    value: int | None = _int_param(self, name, 1_000_000 if name == "MaxResults" else default)
    return value


def modify_instance_security_groups(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
    """An instance's security groups are those of its interface, where moto leaves the former ones, too."""
    instance = _new_groups(self, instance_id, new_group_id_list)
    for interface in instance.nics.values():
        interface._group_set = list(instance.security_groups)
    return instance


def tags_of(self: Any) -> list[dict[str, Any]]:
    """A resource's tags as they are now, looked up.

    moto searches all tags of the account for each resource of a listing, and shows those a launch template began with.
    """
    if not self.id:
        return []
    found: list[dict[str, Any]] = self.ec2_backend.tags.get(self.id, {}).items()
    return [{"resource_id": self.id, "key": k, "resource_type": "", "value": v} for k, v in found]


CORRECTIONS: tuple[tuple[type, str, Any], ...] = (
    (LaunchTemplates, "_get_int_param", unlimited_page),
    (LaunchTemplateBackend, "describe_launch_templates", described_templates),
    (LaunchTemplate, "__init__", without_own_tags),
    (LaunchTemplate, "tags", property(tags_of, lambda _self, _tags: None)),
    (TaggedEC2Resource, "get_tags", tags_of),
    (EC2Backend, "modify_instance_security_groups", modify_instance_security_groups),
)
"""What ``apply`` puts into moto's classes: the class, the attribute, what it becomes."""
