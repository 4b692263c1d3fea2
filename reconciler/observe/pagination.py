"""All pages or nothing: how the list in an answer is followed to its end, and when it must not be believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jmespath  # type: ignore[import-untyped]

from reconciler.observe.reads import Row

Page: TypeAlias = Mapping[str, Any]

PAGE_SIZES = {
    "autoscaling:DescribeAutoScalingGroups": 100,
    "cloudwatch:DescribeAlarms": 100,
    "ec2:DescribeInstances": 1000,
    "ec2:DescribeInternetGateways": 1000,
    "ec2:DescribeLaunchTemplateVersions": 200,
    "ec2:DescribeLaunchTemplates": 200,
    "ec2:DescribeRouteTables": 100,
    "ec2:DescribeSecurityGroups": 1000,
    "ec2:DescribeSubnets": 1000,
    "ec2:DescribeVpcs": 1000,
    "elbv2:DescribeListeners": 400,
    "elbv2:DescribeLoadBalancers": 400,
    "elbv2:DescribeTargetGroups": 400,
    "events:ListRuleNamesByTarget": 100,
    "events:ListRules": 100,
    "events:ListTargetsByRule": 100,
    "iam:ListInstanceProfiles": 1000,
    "iam:ListRoles": 1000,
    "kms:ListAliases": 100,
    "kms:ListGrants": 100,
    "kms:ListKeys": 1000,
    "iam:GetAccountAuthorizationDetails": 1000,
    "logs:DescribeLogGroups": 50,
    "resourcegroupstaggingapi:GetResources": 100,
    "sqs:ListQueues": 1000,
}
"""The largest page each API reference allows: fewer calls for the same answer.

SQS says that there is more only to those who ask for a size.
"""

_MORE = ("NextToken", "nextToken", "NextMarker", "PaginationToken", "IsTruncated", "Truncated")


class IncompleteAnswer(Exception):
    """AWS answered, but not with all of it. Holds the reason in words; it proves nothing."""


def page_size(name: str, paging: Mapping[str, Any] | None, params: Mapping[str, Any]) -> dict[str, int]:
    """The parameter for the largest page. EC2 refuses it together with a list of what to describe."""
    if paging is None or name not in PAGE_SIZES or any(key.endswith(("Ids", "Arns", "Names")) for key in params):
        return {}
    return {paging["limit_key"]: PAGE_SIZES[name]}


def follow(
    call: Callable[[Mapping[str, Any]], Page],
    params: Mapping[str, Any],
    *,
    result: str,
    paging: Mapping[str, Any] | None,
) -> tuple[Row, ...]:
    """The rows of all pages. ``paging`` is botocore's description of the operation's pages.

    Raises IncompleteAnswer if a page lacks the list, a token comes back twice, or there is more that nothing leads to.
    """
    rows: list[Row] = []
    seen: set[tuple[tuple[str, Any], ...]] = set()
    token: tuple[tuple[str, Any], ...] | None = ()
    while token is not None:
        page = call({**params, **dict(token)})
        rows.extend(_rows(page, result))
        token = _next(page, paging if result else None)
        if token in seen:
            raise IncompleteAnswer("the same page token came back twice")
        if token is not None:
            seen.add(token)
    return tuple(rows)


def _rows(page: Page, result: str) -> list[Row]:
    if not result:
        return [{key: value for key, value in page.items() if key != "ResponseMetadata"}]
    name = re.split(r"\W", result, maxsplit=1)[0]
    # A path that says what stands for a missing list is of an API that leaves empty ones out.
    found = _search(result, page) if name in page or "||" in result else None
    if not isinstance(found, list):
        raise IncompleteAnswer(f"the answer holds no {result}")
    return found


def _next(page: Page, paging: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...] | None:
    """The parameters that lead to the next page; None after the last."""
    if paging is None:
        if any(page.get(name) for name in _MORE):
            raise IncompleteAnswer("the answer says there is more, and nothing is known to lead to it")
        return None
    names, sources = _listed(paging["input_token"]), _listed(paging["output_token"])
    more = paging.get("more_results")
    if more is not None and not _search(more, page):
        return None
    token = tuple((name, _search(source, page)) for name, source in zip(names, sources, strict=True))
    if any(value for _, value in token):
        return tuple(pair for pair in token if pair[1])
    if more is not None:
        raise IncompleteAnswer("the answer says there is more, but gives no page token")
    return None


def _search(path: str, page: Page) -> Any:
    """What JMESPath finds; nearly all paths are plain names, which need none of it."""
    return page.get(path) if path.isidentifier() else jmespath.search(path, page)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
