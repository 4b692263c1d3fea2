"""The observers of Elastic Load Balancing v2."""

from __future__ import annotations

from reconciler.observe.aws.elbv2_listener import LISTENER
from reconciler.observe.aws.elbv2_load_balancer import LOAD_BALANCER
from reconciler.observe.aws.elbv2_target_group import TARGET_GROUP
from reconciler.observe.reads import Observer

OBSERVERS: tuple[Observer, ...] = (LOAD_BALANCER, TARGET_GROUP, LISTENER)
