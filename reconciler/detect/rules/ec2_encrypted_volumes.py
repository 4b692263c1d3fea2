"""A volume outlives its server, in snapshots and on disks that AWS reuses."""

from __future__ import annotations

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, is_true, items, mapping
from reconciler.model import Severity

_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"


def check(seen: Properties, _: Context) -> Judgement:
    devices = [mapping(device) for device in items(seen["blockDeviceMappings"])]
    # A device without an ebs block is an instance store or is left out.
    plain = [d.get("deviceName") for d in devices if d.get("ebs") and not is_true(mapping(d["ebs"]).get("encrypted"))]
    if plain:
        return Judgement(f"volume {', '.join(map(str, plain))} is not encrypted", seen["blockDeviceMappings"])
    return OK if devices else Judgement("no volume is described, so the image decides whether it is encrypted")


RULE = Rule(
    id="ec2-encrypted-volumes",
    title="Servers have encrypted volumes",
    description="Launch templates describe the servers' volumes, and every one of them is encrypted.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html",
    # Not PCI DSS: 3.5.1.2 does not count the encryption of a whole disk as protection of card numbers.
    controls={"hipaa": ("164.312(a)(2)(iv)",), "gdpr": ("Art. 32(1)(a)",), "soc2": ("CC6.1",)},
    reads={_TYPE: ("blockDeviceMappings",)},
    check=check,
    heeds=frozenset({"deviceName", "ebs", "encrypted"}),
    passing=Example(_TYPE, {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]}),
    failing=Example(_TYPE, {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 20}}]}),
)
