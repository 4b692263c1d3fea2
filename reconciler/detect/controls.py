"""What the controls that the rules name ask for, and where each was checked: the data of docs/controls.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CHECKED_ON = "28 November 2026"


@dataclass(frozen=True, slots=True)
class Source:
    """What control numbers of one regime refer to, and the public mappings that they were checked against."""

    name: str
    url: str
    mappings: Mapping[str, str]
    """URL by name."""


_HUB = "https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-controls-reference.html"
_PROWLER = "https://github.com/prowler-cloud/prowler/blob/5.46.0/prowler/compliance/aws/"
_POWERPIPE = "https://github.com/turbot/steampipe-mod-aws-compliance/tree/main/"

REGIMES: Mapping[str, Source] = {
    "pci-dss": Source(
        "PCI DSS v4.0.1",
        "https://www.pcisecuritystandards.org/document_library/",
        {"Security Hub": _HUB, "Prowler": f"{_PROWLER}pci_4.0_aws.json", "Powerpipe": f"{_POWERPIPE}pci_dss_v40"},
    ),
    "hipaa": Source(
        "HIPAA Security Rule, 45 CFR Part 164",
        "https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164/subpart-C",
        {"Prowler": f"{_PROWLER}hipaa_aws.json", "Powerpipe": f"{_POWERPIPE}hipaa_security_rule_2003"},
    ),
    "gdpr": Source(
        "GDPR, Regulation (EU) 2016/679",
        "https://eur-lex.europa.eu/eli/reg/2016/679/oj",
        {"Prowler": f"{_PROWLER}gdpr_aws.json"},
    ),
    "soc2": Source(
        "AICPA Trust Services Criteria, 2017 (2022)",
        "https://www.aicpa-cima.com/resources/download/2017-trust-services-criteria-with-revised-points-of-focus-2022",
        {"Prowler": f"{_PROWLER}soc2_aws.json", "Powerpipe": f"{_POWERPIPE}soc_2"},
    ),
}

ASKS: Mapping[str, Mapping[str, str]] = {
    "pci-dss": {
        "1.3.1": "what may come into the cardholder data environment is only what must",
        "1.4.2": "untrusted networks reach authorised public services and nothing else",
        "1.4.4": "what stores cardholder data is not directly reachable from untrusted networks",
        "2.2.6": "security settings leave no room for misuse",
        "3.5.1": "card numbers are unreadable wherever they are stored, in logs too",
        "3.6.1": "keys are guarded against disclosure and misuse, and as few as possible have access to them",
        "3.7.4": "a key is changed when its defined lifetime ends",
        "4.2.1": "strong cryptography on open networks, with no way back to an insecure version",
        "7.2.5": "accounts of applications and systems have the least privileges that they work with",
        "10.5.1": "audit logs are kept for 12 months, the latest three at hand",
        "12.5.1": "there is a current inventory of what is in scope",
        "12.10.5": "alerts of security monitoring are watched and answered",
    },
    "hipaa": {
        "164.308(a)(6)(i)": "security incidents are dealt with",
        "164.308(a)(7)(i)": "there is a plan for emergencies that damage systems",
        "164.308(a)(7)(ii)(A)": "exact copies of health information are made and can be had back",
        "164.312(a)(1)": "only people and programs with access rights get in",
        "164.312(a)(2)(iv)": "health information can be encrypted and decrypted (addressable)",
        "164.312(b)": "activity is recorded and can be examined",
        "164.312(c)(1)": "health information is not improperly changed or destroyed",
        "164.312(e)(1)": "nobody gets at health information on its way over a network",
        "164.312(e)(2)(ii)": "health information is encrypted on its way where appropriate (addressable)",
        "164.316(b)(2)(i)": "required documentation is kept for six years",
    },
    "gdpr": {
        "Art. 5(1)(f)": "personal data is secure from unlawful use, loss and damage",
        "Art. 25(2)": "personal data is not open to everybody by default",
        "Art. 32(1)(a)": "personal data is encrypted or pseudonymised, as fits the risk",
        "Art. 32(1)(b)": "systems stay confidential, sound, available and resilient",
        "Art. 32(1)(c)": "after an incident, data can be had back in time",
    },
    "soc2": {
        "CC6.1": "logical access is limited; assets are listed, data encrypted, keys protected until their destruction",
        "CC6.3": "access follows roles and least privilege",
        "CC6.6": "threats from outside are kept out",
        "CC6.7": "information is protected on its way",
        "CC7.2": "components are monitored for anomalies",
        "A1.2": "backup, protection and recovery infrastructure is built and kept (if the report covers availability)",
    },
}
"""By regime and control, in words of our own: what of the control concerns the rules."""

TEXT = "its text"
"""No public mapping was found: the text of the control alone is the ground."""

CHECKED: Mapping[str, Mapping[str, str]] = {
    "alarm-has-action": {
        "12.10.5": "Prowler `cloudwatch_alarm_actions_alarm_state_configured`",
        "164.308(a)(6)(i)": "Powerpipe `cloudwatch_alarm_action_enabled`",
        "Art. 32(1)(b)": TEXT,
        "CC7.2": "Powerpipe `cloudwatch_alarm_action_enabled`",
    },
    "asg-elb-health-check": {
        "164.308(a)(7)(i)": "Powerpipe `autoscaling_group_with_lb_use_health_check`",
        "Art. 32(1)(b)": TEXT,
        "A1.2": TEXT,
    },
    "asg-zones": {
        "164.308(a)(7)(i)": "Prowler `rds_instance_multi_az`",
        "Art. 32(1)(b)": TEXT,
        "A1.2": TEXT,
    },
    "ec2-encrypted-volumes": {
        "164.312(a)(2)(iv)": "Prowler `ec2_ebs_volume_encryption`",
        "Art. 32(1)(a)": "Prowler `ec2_ebs_volume_encryption`",
        "CC6.1": "Powerpipe `ebs_attached_volume_encryption_enabled`",
    },
    "ec2-imdsv2": {
        "2.2.6": "Security Hub EC2.8",
        "164.312(a)(1)": "Prowler `ec2_confidential_workload_host_imdsv2_not_enforced`",
        "Art. 32(1)(b)": TEXT,
        "CC6.1": TEXT,
    },
    "elb-listener-rules": {
        "4.2.1": "Prowler `elb_ssl_listeners`",
        "164.312(e)(1)": "Prowler `elb_ssl_listeners`",
        "164.312(e)(2)(ii)": "Prowler `elb_ssl_listeners`",
        "Art. 32(1)(a)": "Prowler `elb_ssl_listeners`",
        "CC6.7": "Powerpipe `elb_application_lb_redirect_http_request_to_https`",
    },
    "elb-tls-policy": {
        "4.2.1": "Prowler `elb_ssl_listeners`",
        "164.312(e)(1)": "Prowler `elb_ssl_listeners`",
        "164.312(e)(2)(ii)": "Prowler `elb_ssl_listeners`",
        "Art. 32(1)(a)": "Prowler `elb_ssl_listeners`",
        "CC6.7": "Powerpipe `elb_application_lb_redirect_http_request_to_https`",
    },
    "iam-no-wildcard": {
        "7.2.5": "Powerpipe `iam_all_policy_no_service_wild_card`",
        "164.312(a)(1)": "Prowler `iam_inline_policy_no_administrative_privileges`",
        "Art. 5(1)(f)": TEXT,
        "Art. 32(1)(b)": TEXT,
        "CC6.3": "Prowler `iam_inline_policy_no_administrative_privileges`",
    },
    "kms-grants": {
        "3.6.1": "Prowler `iam_policy_no_full_access_to_kms`",
        "7.2.5": "Prowler `iam_policy_no_full_access_to_kms`",
        "164.312(a)(1)": TEXT,
        "Art. 32(1)(b)": TEXT,
        "CC6.1": TEXT,
        "CC6.3": TEXT,
    },
    "kms-rotation": {
        "3.7.4": "Security Hub KMS.4",
        "164.312(a)(2)(iv)": "Prowler `kms_cmk_rotation_enabled`",
        "Art. 32(1)(a)": TEXT,
        "CC6.1": TEXT,
    },
    "kms-usable": {
        "164.312(a)(2)(iv)": TEXT,
        "164.312(c)(1)": TEXT,
        "Art. 32(1)(b)": TEXT,
        "CC6.1": "Powerpipe `kms_key_not_pending_deletion`",
    },
    "log-encryption": {
        "3.5.1": "Prowler `cloudwatch_log_group_kms_encryption_enabled`",
        "164.312(a)(2)(iv)": "Prowler `cloudwatch_log_group_kms_encryption_enabled`",
        "Art. 32(1)(a)": "Prowler `cloudwatch_log_group_kms_encryption_enabled`",
        "CC6.1": "Powerpipe `log_group_encryption_at_rest_enabled`",
    },
    "log-retention": {
        "10.5.1": "Prowler `cloudwatch_log_group_retention_policy_specific_days_enabled`",
        "164.312(b)": "Prowler `cloudwatch_log_group_retention_policy_specific_days_enabled`",
        "164.316(b)(2)(i)": TEXT,
        "CC7.2": "Prowler `cloudwatch_log_group_retention_policy_specific_days_enabled`",
    },
    "ownership-tags": {"12.5.1": TEXT, "CC6.1": TEXT},
    "s3-encryption-key": {
        "3.5.1": "Security Hub S3.17",
        "164.312(a)(2)(iv)": "Prowler `s3_bucket_default_encryption`",
        "Art. 32(1)(a)": "Prowler `s3_bucket_default_encryption`",
        "CC6.1": "Powerpipe `s3_bucket_default_encryption_enabled`",
    },
    "s3-public-access": {
        "1.4.4": "Security Hub S3.8",
        "164.312(a)(1)": "Prowler `s3_bucket_public_access`",
        "Art. 25(2)": TEXT,
        "Art. 32(1)(b)": TEXT,
        "CC6.1": "Prowler `s3_bucket_public_access`",
        "CC6.6": "Powerpipe `s3_public_access_block_account`",
    },
    "s3-tls-only": {
        "4.2.1": "Security Hub S3.5",
        "164.312(e)(1)": "Prowler `s3_bucket_secure_transport_policy`",
        "164.312(e)(2)(ii)": "Prowler `s3_bucket_secure_transport_policy`",
        "Art. 32(1)(a)": "Prowler `s3_bucket_secure_transport_policy`",
        "CC6.7": TEXT,
    },
    "s3-versioning": {
        "164.308(a)(7)(ii)(A)": "Prowler `s3_bucket_object_versioning`",
        "164.312(c)(1)": "Prowler `s3_bucket_object_versioning`",
        "Art. 32(1)(c)": TEXT,
        "A1.2": "Powerpipe `s3_bucket_versioning_enabled`",
    },
    "sg-admin-ports": {
        "1.3.1": "Security Hub EC2.13",
        "1.4.2": "Prowler `ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22`",
        "164.312(a)(1)": TEXT,
        "164.312(e)(1)": "Prowler `ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22`",
        "Art. 32(1)(b)": TEXT,
        "CC6.6": "Prowler `ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22`",
    },
}
"""By rule and control: the check of a public mapping that gives evidence of the same, or TEXT."""

LEFT_OUT = (
    "`ec2-encrypted-volumes` names no PCI DSS requirement. Since March 2025, 3.5.1.2 accepts the encryption of a whole"
    " disk only for removable media, or beside another protection of the card numbers. Prowler maps it to 3.5.1;"
    " Security Hub (EC2.3, EC2.7) does not.",
    "`kms-usable`, `s3-versioning`, `asg-zones` and `asg-elb-health-check` name none: no requirement of PCI DSS asks"
    " for what they check. 3.6.1 guards keys against disclosure and misuse, not against loss.",
    "`log-encryption` is no evidence of PCI DSS 10.3.1 (who may read audit logs): it looks at the key, not at the"
    " readers, for whom CloudWatch Logs decrypts.",
    "`log-retention` names no article of the GDPR: it limits how long data is kept, and demands no retention of logs."
    " HIPAA gives a figure for documentation only; it is taken for logs too.",
    "The changes to the HIPAA Security Rule proposed in January 2025 were not in force when this was checked.",
)


def render() -> str:
    """The whole page."""
    lines = [
        "# Controls",
        "",
        "Generated by `python -m reconciler.detect.rules_doc --write`; a test fails when it is not current.",
        "",
        "A rule gives evidence of the controls named here. A PASS does not say that a control is met: most ask for",
        "people and procedures too, and what applies to a tenant is for its assessor to say.",
        "",
        f"Each number was checked on {CHECKED_ON} against a public copy of its text and against public mappings; the",
        "links lead to where both can be read.",
        "The words are ours. Beside each rule stands where the same check, or a close relative, is given for the same",
        f"control; where it says *{TEXT}*, no such place was found, and the text of the control is the ground.",
    ]
    for regime, source in REGIMES.items():
        mappings = ", ".join(f"[{name}]({url})" for name, url in source.mappings.items())
        lines += ["", f"## {source.name}", "", f"[Text]({source.url}). Mappings: {mappings}.", ""]
        lines += ["| control | asks for | evidence |", "|---|---|---|"]
        lines += [_row(regime, control, asks) for control, asks in ASKS[regime].items()]
    lines += ["", "## Left out on purpose", "", *(f"- {reason}" for reason in LEFT_OUT), ""]
    return "\n".join(lines)


def _row(regime: str, control: str, asks: str) -> str:
    rules = [(rule, checked[control]) for rule, checked in CHECKED.items() if control in checked]
    evidence = "; ".join(f"[`{rule}`](rules.md#{rule}): {where}" for rule, where in rules)
    return f"| [{control}]({_text(regime, control)}) | {asks} | {evidence} |"


def _text(regime: str, control: str) -> str:
    """Where one control can be read by anybody."""
    if regime == "pci-dss":
        requirement, section, _ = control.split(".")
        return f"https://withpci.com/requirements/{requirement}/{requirement}.{section}/{control}"
    if regime == "hipaa":
        return f"{REGIMES[regime].url}/section-{control.split('(')[0]}"
    if regime == "gdpr":
        return f"https://gdprhub.eu/index.php?title=Article_{re.findall('[0-9]+', control)[0]}_GDPR"
    return REGIMES[regime].url
