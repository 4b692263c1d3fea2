"""Faults of the load balancer."""

from __future__ import annotations

from sandbox import application
from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim

LISTENER = "aws:lb/listener:Listener"


def delete_listener(victim: Victim) -> str:
    listener = victim.listener(443)
    victim.elbv2.delete_listener(ListenerArn=listener)
    return listener


def downgrade_tls(victim: Victim) -> str:
    listener = victim.listener(443)
    victim.elbv2.modify_listener(ListenerArn=listener, SslPolicy="ELBSecurityPolicy-2016-08")
    return listener


def drop_redirect(victim: Victim) -> str:
    listener = victim.listener(80)
    target_group = victim.arn("elasticloadbalancing:targetgroup", "api")
    victim.elbv2.modify_listener(
        ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}]
    )
    return listener


def fail_load_balancer(victim: Victim) -> str:
    balancer = victim.arn("elasticloadbalancing:loadbalancer", "alb")
    victim.elbv2.add_tags(ResourceArns=[balancer], Tags=[{"Key": application.BALANCER, "Value": "failed"}])
    return balancer


FAULTS = (
    Fault(
        "fail-load-balancer",
        "AWS gives the load balancer up: its state is failed for good",
        Actor.OUTAGE,
        "ingress",
        ("aws:lb/loadBalancer:LoadBalancer",),
        fail_load_balancer,
    ),
    Fault(
        "delete-listener",
        "the load balancer no longer answers on port 443",
        Actor.OPERATOR,
        "ingress",
        (LISTENER,),
        delete_listener,
    ),
    Fault(
        "downgrade-tls",
        "the listener accepts TLS 1.0 again",
        Actor.INTRUDER,
        "ingress",
        (LISTENER,),
        downgrade_tls,
    ),
    Fault(
        "drop-redirect",
        "requests on port 80 are served in clear text instead of being sent to port 443",
        Actor.OPERATOR,
        "ingress",
        (LISTENER,),
        drop_redirect,
    ),
)
