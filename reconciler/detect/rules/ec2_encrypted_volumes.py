"""A volume outlives its server, in snapshots and on disks that AWS reuses."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, is_true, items, mapping
from reconciler.model import Severity, Value

_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"
_NEWEST, _DEFAULT = "blockDeviceMappings", "defaultBlockDeviceMappings"


def check(seen: Properties, _: Context) -> Judgement:
    if bad := _plain(seen[_NEWEST]):
        return Judgement(bad, seen[_NEWEST])
    # It is not set while the default version is the newest one.
    if seen[_DEFAULT] is not None and (bad := _plain(seen[_DEFAULT])):
        return Judgement(f"in the default version, {bad}", seen[_DEFAULT])
    return OK


def _plain(described: Value) -> str:
    devices = [mapping(device) for device in items(described)]
    # A device without an ebs block is an instance store or is left out.
    volumes = [device for device in devices if device.get("ebs") is not None]
    plain = [str(d.get("deviceName")) for d in volumes if not is_true(mapping(d["ebs"]).get("encrypted"))]
    if plain:
        return f"volume {', '.join(plain)} is not encrypted"
    return "" if volumes else "no volume is described, so the image decides whether it is encrypted"


def _example(**ebs: Value) -> Example:
    return Example(_TYPE, {_NEWEST: [{"deviceName": "/dev/xvda", "ebs": ebs}], _DEFAULT: None})


RULE = Rule(
    id="ec2-encrypted-volumes",
    title="Servers have encrypted volumes",
    description="Launch templates describe the servers' volumes, and every one of them is encrypted, in the newest "
    "version and in the default one.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html",
    # Not PCI DSS: 3.5.1.2 does not count the encryption of a whole disk as protection of card numbers.
    controls={"hipaa": ("164.312(a)(2)(iv)",), "gdpr": ("Art. 32(1)(a)",), "soc2": ("CC6.1",)},
    reads={_TYPE: (_NEWEST, _DEFAULT)},
    check=check,
    heeds=frozenset({"deviceName", "ebs", "encrypted"}),
    passing=_example(encrypted="true"),
    failing=_example(volumeSize=20),
)
