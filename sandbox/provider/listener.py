"""Listeners of load balancers."""

from __future__ import annotations

from typing import Any

from sandbox.provider.aws import camel, first, pascal, refuse_others
from sandbox.provider.elbv2 import read_tags, tags, with_tags
from sandbox.provider.table import Call, Kind, deleter
from sandbox.provider.values import Properties

ACTIONS = {"redirect": "RedirectConfig", "fixedResponse": "FixedResponseConfig"}


def to_actions(declared: list[Properties]) -> list[dict[str, Any]]:
    result = []
    for action in declared:
        refuse_others(action, ("type", "order", "targetGroupArn", *ACTIONS), "a listener's defaultActions")
        one = pascal({key: value for key, value in action.items() if key not in ACTIONS})
        one |= {theirs: pascal(action[ours]) for ours, theirs in ACTIONS.items() if action.get(ours)}
        result.append(one)
    return result


def from_actions(live: list[dict[str, Any]]) -> list[Properties]:
    """A forward to one target group is its ARN alone; to several, they are listed under ``forward``."""
    result = []
    for action in live:
        one: Properties = {"type": action["Type"], "order": action.get("Order", 1)}
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        if len(groups) > 1:
            one["forward"] = {
                "targetGroups": [{"arn": g["TargetGroupArn"], "weight": g.get("Weight", 1)} for g in groups]
            }
        elif action["Type"] == "forward":
            one["targetGroupArn"] = action.get("TargetGroupArn") or groups[0]["TargetGroupArn"]
        one |= {ours: camel(action[theirs]) for ours, theirs in ACTIONS.items() if theirs in action}
        result.append(one)
    return result


def listener(call: Call) -> dict[str, Any]:
    names = {"port": "Port", "protocol": "Protocol", "sslPolicy": "SslPolicy"}
    params = {theirs: call.new[ours] for ours, theirs in names.items() if ours in call.new}
    if call.new.get("certificateArn"):
        params["Certificates"] = [{"CertificateArn": call.new["certificateArn"]}]
    return {**params, "DefaultActions": to_actions(call.new["defaultActions"])}


def create_listener(call: Call) -> str:
    params = {"LoadBalancerArn": call.new["loadBalancerArn"], **listener(call), **with_tags(call)}
    return str(call.aws("elbv2").create_listener(**params)["Listeners"][0]["ListenerArn"])


def modify_listener(call: Call) -> None:
    call.aws("elbv2").modify_listener(ListenerArn=call.id, **listener(call))


def read_listener(call: Call) -> Properties | None:
    absent = {"ListenerNotFound", "LoadBalancerNotFound"}
    live = first(absent, call.aws("elbv2").describe_listeners, "Listeners", ListenerArns=[call.id])
    if live is None:
        return None
    certificates = live.get("Certificates") or []
    return {
        "arn": call.id,
        "loadBalancerArn": live["LoadBalancerArn"],
        "port": live.get("Port"),
        "protocol": live.get("Protocol", ""),
        "sslPolicy": live.get("SslPolicy", ""),
        "certificateArn": certificates[0]["CertificateArn"] if certificates else None,
        "defaultActions": from_actions(live["DefaultActions"]),
        "tags": read_tags(call),
    }


KINDS = (
    Kind(
        type="aws:lb/listener:Listener",
        create=create_listener,
        read=read_listener,
        delete=deleter("elbv2", "delete_listener", "ListenerArn", "ListenerNotFound"),
        update=dict.fromkeys(["port", "protocol", "sslPolicy", "certificateArn", "defaultActions"], modify_listener),
        fixed=frozenset({"loadBalancerArn"}),
        defaults={
            "defaultActions[].redirect.host": "#{host}",
            "defaultActions[].redirect.path": "/#{path}",
            "defaultActions[].redirect.port": "#{port}",
            "defaultActions[].redirect.protocol": "#{protocol}",
            "defaultActions[].redirect.query": "#{query}",
        },
        tags=tags,
        filled=frozenset({"defaultActions[].order"}),
        delete_first=True,
    ),
)
