"""Pages: all of them, or no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.observe.pagination import IncompleteAnswer, follow, page_size

VPCS = {"input_token": "NextToken", "output_token": "NextToken", "limit_key": "MaxResults", "result_key": "Vpcs"}
ROLES = {"input_token": "Marker", "output_token": "Marker", "more_results": "IsTruncated", "result_key": "Roles"}


class Pages:
    """Answers page after page, remembering with which parameters each was asked for."""

    def __init__(self, *pages: Mapping[str, Any]) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def __call__(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(dict(params))
        return self.pages[(len(self.asked) - 1) % len(self.pages)]


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=6))
def test_all_pages_in_order(pages: list[list[int]]) -> None:
    """However AWS cuts a list into pages, empty ones included, the rows are the whole list in order."""
    last = len(pages) - 1
    call = Pages(
        *(
            {"Vpcs": [{"n": n} for n in page]} | ({"NextToken": f"t{i}"} if i < last else {})
            for i, page in enumerate(pages)
        )
    )
    rows = follow(call, {"A": 1}, result="Vpcs", paging=VPCS)
    assert [row["n"] for row in rows] == [n for page in pages for n in page]
    assert [asked.get("NextToken") for asked in call.asked] == [None, *(f"t{i}" for i in range(last))]
    assert all(asked["A"] == 1 for asked in call.asked)


@pytest.mark.parametrize("tokens", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_repeated_token_is_no_answer(tokens: list[str]) -> None:
    """F07: a token that comes back, at once or in a circle, ends the reading and proves nothing."""
    with pytest.raises(IncompleteAnswer, match="twice"):
        follow(Pages(*({"Vpcs": [], "NextToken": t} for t in tokens)), {}, result="Vpcs", paging=VPCS)


def test_more_without_a_token_is_no_answer() -> None:
    """F06: an answer that says it is truncated, but not how to go on, is not taken for the whole."""
    with pytest.raises(IncompleteAnswer, match="no page token"):
        follow(Pages({"Roles": [], "IsTruncated": True}), {}, result="Roles", paging=ROLES)


def test_a_marker_that_is_only_an_echo_ends_the_list() -> None:
    """Where the API says there is no more, a marker in the answer does not count."""
    call = Pages({"Roles": [{"a": 1}], "IsTruncated": False, "Marker": "x"})
    assert follow(call, {}, result="Roles", paging=ROLES) == ({"a": 1},)


@pytest.mark.parametrize(
    "leftover", [{"NextToken": "x"}, {"nextToken": "x"}, {"NextMarker": "x"}, {"IsTruncated": True}]
)
def test_more_that_nothing_leads_to_is_no_answer(leftover: Mapping[str, Any]) -> None:
    """F06: an operation without known pages that answers with a next one is incomplete."""
    with pytest.raises(IncompleteAnswer):
        follow(Pages({"Vpcs": [], **leftover}), {}, result="Vpcs", paging=None)


@pytest.mark.parametrize("page", [{}, {"message": "<html>"}, {"Vpcs": None}, {"Vpcs": "text"}])
def test_an_answer_without_the_list_is_no_answer(page: Mapping[str, Any]) -> None:
    """F16: a body that lacks the list asked for does not count as an empty list."""
    with pytest.raises(IncompleteAnswer, match="holds no Vpcs"):
        follow(Pages(page), {}, result="Vpcs", paging=VPCS)


def test_a_list_that_is_left_out_when_it_is_empty() -> None:
    """Only where the read says so is a missing list an empty one, on any page."""
    result = "QueueUrls[].{QueueUrl: @} || `[]`"
    paging = {**VPCS, "result_key": "QueueUrls"}
    assert follow(Pages({}), {}, result=result, paging=paging) == ()
    more = Pages({"QueueUrls": ["a"], "NextToken": "t"}, {"QueueUrls": ["b"]})
    assert follow(more, {}, result=result, paging=paging) == ({"QueueUrl": "a"}, {"QueueUrl": "b"})


def test_lists_within_lists() -> None:
    """Instances stand inside reservations; a reservation without any adds none."""
    page = {"Reservations": [{"Instances": [{"i": 1}, {"i": 2}]}, {"Instances": []}, {"Instances": [{"i": 3}]}]}
    rows = follow(Pages(page), {}, result="Reservations[].Instances[]", paging=VPCS)
    assert [row["i"] for row in rows] == [1, 2, 3]


def test_the_whole_answer_as_one_row() -> None:
    """Without a list to follow, the response itself is the row, without botocore's own part."""
    assert follow(Pages({"A": 1, "ResponseMetadata": {}}), {}, result="", paging=None) == ({"A": 1},)


def test_large_pages_only_for_listings() -> None:
    """EC2 refuses a page size next to a list of ids, so direct reads have none."""
    assert page_size("ec2:DescribeVpcs", VPCS, {}) == {"MaxResults": 1000}
    assert page_size("ec2:DescribeVpcs", VPCS, {"VpcIds": ["vpc-1"]}) == {}
    assert page_size("ec2:DescribeVpcs", None, {}) == {}
    assert page_size("ec2:DescribeRegions", VPCS, {}) == {}
