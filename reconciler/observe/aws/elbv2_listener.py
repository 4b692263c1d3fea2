"""How a listener is seen: AWS lists them by load balancer, so there is one listing for each load balancer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import call, text, together, vanished
from reconciler.observe.aws.elbv2_common import (
    TAG_INDEX,
    TAG_PERMISSIONS,
    Attribute,
    attribute_properties,
    elb_tags,
    flag,
    number,
    same,
)
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Read, Row, Rows, Sight

_REQUEST = "routing.http.request.x_amzn_"
_RESPONSE = "routing.http.response."


def _attribute(key: str) -> Attribute:
    """The provider names these properties after the attribute's key, word by word."""
    first, *others = re.split(r"[._]", key)
    decode = {"enabled": flag, "seconds": number}.get(others[-1], same)
    return Attribute(key, first + "".join(word.capitalize() for word in others), decode)


ATTRIBUTES = tuple(
    _attribute(key)
    for key in (
        "tcp.idle_timeout.seconds",
        _REQUEST + "mtls_clientcert.header_name",
        _REQUEST + "mtls_clientcert_issuer.header_name",
        _REQUEST + "mtls_clientcert_leaf.header_name",
        _REQUEST + "mtls_clientcert_serial_number.header_name",
        _REQUEST + "mtls_clientcert_subject.header_name",
        _REQUEST + "mtls_clientcert_validity.header_name",
        _REQUEST + "tls_cipher_suite.header_name",
        _REQUEST + "tls_version.header_name",
        _RESPONSE + "access_control_allow_credentials.header_value",
        _RESPONSE + "access_control_allow_headers.header_value",
        _RESPONSE + "access_control_allow_methods.header_value",
        _RESPONSE + "access_control_allow_origin.header_value",
        _RESPONSE + "access_control_expose_headers.header_value",
        _RESPONSE + "access_control_max_age.header_value",
        _RESPONSE + "content_security_policy.header_value",
        _RESPONSE + "server.enabled",
        _RESPONSE + "strict_transport_security.header_value",
        _RESPONSE + "x_content_type_options.header_value",
        _RESPONSE + "x_frame_options.header_value",
    )
)
"""Keys: Elastic Load Balancing API reference, ListenerAttribute."""


def _listing(load_balancer: str) -> Read:
    return call(
        "elbv2",
        "describe_listeners",
        "Listeners",
        absent=("LoadBalancerNotFound",),
        target=load_balancer,
        LoadBalancerArn=load_balancer,
    )


def _direct(arn: str) -> Read:
    return call(
        "elbv2", "describe_listeners", "Listeners", absent=("ListenerNotFound",), target=arn, ListenerArns=[arn]
    )


def _attributes_of(declared: DeclaredResource) -> Read | None:
    """Only for listeners that declare one: the provider fills in none of them."""
    if not any(attribute.path in declared.inputs for attribute in ATTRIBUTES):
        return None
    return call(
        "elbv2",
        "describe_listener_attributes",
        "Attributes",
        absent=("ListenerNotFound",),
        target=declared.id,
        ListenerArn=declared.id,
    )


def _rules_of(arn: str) -> Read:
    return call("elbv2", "describe_rules", "Rules", absent=("ListenerNotFound",), target=arn, ListenerArn=arn)


def _reads(declared: DeclaredResource) -> tuple[Read, ...]:
    load_balancer = text(declared, "loadBalancerArn")
    listing = (_listing(load_balancer),) if load_balancer else ()
    if not declared.id:
        return listing
    attributes = _attributes_of(declared)
    rules = (_rules_of(declared.id),) if declared.inputs.get("protocol") == "HTTP" else ()
    return (*(listing or (_direct(declared.id),)), TAG_INDEX, *rules, *((attributes,) if attributes else ()))


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    """``ruleActions``, no property of Pulumi's, is what the rules of an HTTP listener do, beside ``defaultActions``.
    What answers in clear is all that they are read for: of other listeners it is None."""
    row = _row(declared, answers)
    if not isinstance(row, Mapping):
        return row
    read = _attributes_of(declared)
    attributes = attribute_properties(declared, answers, read, ATTRIBUTES) if read else {}
    tags = elb_tags(declared, answers, declared.id)
    rules = answers.get(_rules_of(declared.id)) if row.get("Protocol") == "HTTP" else None
    if isinstance(attributes, More) or isinstance(tags, More) or isinstance(rules, More):
        return together(attributes, tags, rules)
    return {**_described(declared, row), "ruleActions": _rule_actions(rules), **attributes, **tags}


def _row(declared: DeclaredResource, answers: Answers) -> Row | Missing | Failed | More:
    direct = _direct(declared.id)
    load_balancer = text(declared, "loadBalancerArn")
    if load_balancer is None:
        return answers.one(direct)
    row = answers.find(_listing(load_balancer), "ListenerArn", declared.id, direct=direct)
    # No load balancer, no listeners; still the listener itself is asked for.
    return answers.one(direct) if isinstance(row, Missing) else row


def _described(declared: DeclaredResource, row: Row) -> dict[str, Value]:
    asked = declared.inputs.get("defaultActions")
    wanted = asked if isinstance(asked, Sequence) and not isinstance(asked, str) else ()
    live = sorted(row.get("DefaultActions", ()), key=lambda action: action.get("Order", 1))
    return {
        "loadBalancerArn": row.get("LoadBalancerArn"),
        "port": row.get("Port"),
        "protocol": row.get("Protocol"),
        "sslPolicy": row.get("SslPolicy"),
        "certificateArn": next((c["CertificateArn"] for c in row.get("Certificates", ())), None),
        "alpnPolicy": next(iter(row.get("AlpnPolicy", ())), None),
        "mutualAuthentication": _mutual_authentication(
            row.get("MutualAuthentication", {}), "mutualAuthentication" in declared.inputs
        ),
        "defaultActions": [
            _action(action, index, wanted[index] if index < len(wanted) else None) for index, action in enumerate(live)
        ],
    }


def _rule_actions(rules: Rows | Missing | Failed | None) -> Value:
    """The actions of the rules that are not the listener's default, in the order of the rules' ARNs."""
    if not isinstance(rules, Rows):
        return None if rules is None else Unreadable(vanished(rules))
    ordered = sorted((row for row in rules.rows if not row.get("IsDefault")), key=lambda row: str(row.get("RuleArn")))
    return [_action(action, index, None) for row in ordered for index, action in enumerate(row.get("Actions", ()))]


def _mutual_authentication(live: Row, wanted: bool) -> Value:
    if live.get("Mode", "off") == "off":
        return {"mode": "off"} if wanted else None
    return {
        "mode": live["Mode"],
        "trustStoreArn": live.get("TrustStoreArn"),
        "ignoreClientCertificateExpiry": live.get("IgnoreClientCertificateExpiry"),
        "advertiseTrustStoreCaNames": live.get("AdvertiseTrustStoreCaNames"),
    }


_UNCHANGED = {"host": "#{host}", "path": "/#{path}", "port": "#{port}", "protocol": "#{protocol}", "query": "#{query}"}
"""What a redirect that does not say otherwise keeps (Elastic Load Balancing API reference, RedirectActionConfig)."""

_BLOCKS = {
    "RedirectConfig": "redirect",
    "FixedResponseConfig": "fixedResponse",
    "AuthenticateCognitoConfig": "authenticateCognito",
    "AuthenticateOidcConfig": "authenticateOidc",
    "JwtValidationConfig": "jwtValidation",
}


def _action(live: Row, index: int, declared: Value) -> dict[str, Value]:
    action: dict[str, Value] = {"type": live.get("Type"), "order": live.get("Order", index + 1)}
    for config, block in _BLOCKS.items():
        if config in live:
            action[block] = {_lower_first(key): _plain(value) for key, value in live[config].items()}
    if isinstance(redirect := action.get("redirect"), Mapping):
        action["redirect"] = {**_UNCHANGED, **redirect}
    if live.get("Type") == "forward":
        action |= _forward(live, declared.get("forward") if isinstance(declared, Mapping) else None)
    return action


def _forward(live: Row, declared: Value) -> dict[str, Value]:
    """AWS answers a forward to one target group in two ways at once; the declared way, or both, is to be compared.

    More than one target group, a weight of zero or stickiness cannot be said without the block, so they show as a
    block even where ``targetGroupArn`` is declared.
    """
    config = live.get("ForwardConfig", {})
    groups = config.get("TargetGroups", ())
    sticky = config.get("TargetGroupStickinessConfig", {})
    only = live.get("TargetGroupArn") or (groups[0].get("TargetGroupArn") if len(groups) == 1 else None)
    single = len(groups) <= 1 and all(group.get("Weight", 1) for group in groups)
    if single and not sticky.get("Enabled", False) and not declared:
        return {"targetGroupArn": only}
    block: dict[str, Value] = {
        "targetGroups": [
            {"arn": group.get("TargetGroupArn"), "weight": group.get("Weight", 1)}
            for group in (groups or ({"TargetGroupArn": only},))
        ],
    }
    if sticky:
        block["stickiness"] = {
            "enabled": sticky.get("Enabled", False),
            "duration": sticky.get("DurationSeconds", _idle_duration(sticky, declared)),
        }
    return {"forward": block, "targetGroupArn": only if single and declared else None}


def _idle_duration(sticky: Row, declared: Value) -> Value:
    """The declared duration of a stickiness that is off, which AWS need not keep."""
    wanted = declared.get("stickiness") if isinstance(declared, Mapping) else None
    return wanted.get("duration") if isinstance(wanted, Mapping) and not sticky.get("Enabled", False) else None


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _plain(value: object) -> Value:
    """A nested configuration value; keys of maps inside it (extra parameters) are data and keep their spelling."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [
            {_lower_first(key): _plain(item) for key, item in element.items()}
            if isinstance(element, Mapping)
            else _plain(element)
            for element in value
        ]
    return value if isinstance(value, bool | int | float | str) else None


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    load_balancer, port = text(declared, "loadBalancerArn"), declared.inputs.get("port")
    if load_balancer is None or not isinstance(port, int | float):
        return Failed("the listener's load balancer or port is not known")
    answer = answers.get(_listing(load_balancer))
    if not isinstance(answer, Rows):
        return answer
    found = {str(row["ListenerArn"]) for row in answer.rows if row.get("Port") == port} - answers.claimed
    return min(found) if found else Missing(f"{load_balancer} has no listener on port {port:g}")


LISTENER = Observer(
    kind=ResourceKind(
        "aws:lb/listener:Listener",
        unordered=frozenset({"defaultActions[].forward.targetGroups"}),
        write_only=frozenset({"defaultActions[].authenticateOidc.clientSecret"}),
    ),
    reads=_reads,
    see=_see,
    permissions=(
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeRules",
        *TAG_PERMISSIONS,
    ),
    locate=_locate,
)
