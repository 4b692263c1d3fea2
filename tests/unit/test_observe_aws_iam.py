"""Roles, their inline policies and instance profiles, seen through hand-made answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.model import DeclaredResource
from reconciler.observe.aws.iam import OBSERVERS, document
from reconciler.observe.reads import Answer, Failed, Missing, Observer
from tests.unit.observe_aws_answers import (
    ACCOUNT,
    DENIED,
    TAGS,
    THROTTLED,
    World,
    named_in,
    pairs,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

ROLE, ROLE_POLICY, PROFILE = OBSERVERS

NAME = "acme-server-1234567"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ACCESS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}
LISTED = {
    "RoleName": NAME,
    "Arn": f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
    "Path": "/",
    "AssumeRolePolicyDocument": TRUST,
    "RolePolicyList": [{"PolicyName": NAME, "PolicyDocument": ACCESS}],
    "AttachedManagedPolicies": [],
    "InstanceProfileList": [{"InstanceProfileName": NAME}],
    "Tags": pairs(TAGS),
}
DIRECT = {
    "Role": {
        "RoleName": NAME,
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
        "Path": "/",
        "AssumeRolePolicyDocument": quote(json.dumps(TRUST)),
        "MaxSessionDuration": 3600,
        "Description": "acme",
        "Tags": pairs(TAGS),
    }
}
INSTANCE_PROFILE = {
    "InstanceProfile": {
        "InstanceProfileName": NAME,
        "Path": "/",
        "Roles": [{"RoleName": NAME}],
        "Tags": pairs(TAGS),
    }
}

ROLE_DECLARED = resource(
    ROLE.kind.token,
    NAME,
    {
        "assumeRolePolicy": json.dumps(TRUST, indent=2),
        "maxSessionDuration": 3600,
        "name": NAME,
        "path": "/",
        "tags": TAGS,
        "tagsAll": TAGS,
    },
    programmed={"assumeRolePolicy", "tags"},
)
POLICY_DECLARED = resource(
    ROLE_POLICY.kind.token, f"{NAME}:{NAME}", {"role": NAME, "name": NAME, "policy": json.dumps(ACCESS)}
)
PROFILE_DECLARED = resource(
    PROFILE.kind.token, NAME, {"role": NAME, "name": NAME, "path": "/", "tags": TAGS, "tagsAll": TAGS}
)
ACCOUNT_ROLES = "get_account_authorization_details"
WORLD = World({ACCOUNT_ROLES: rows(LISTED), "get_instance_profile": rows(INSTANCE_PROFILE)})

CASES = [
    pytest.param(ROLE, ROLE_DECLARED, "get_role", DIRECT, id="role"),
    pytest.param(
        ROLE_POLICY,
        POLICY_DECLARED,
        "get_role_policy",
        {"RoleName": NAME, "PolicyName": NAME, "PolicyDocument": ACCESS},
        id="role policy",
    ),
]
table = pytest.mark.parametrize(("observer", "declared", "operation", "direct"), CASES)


@pytest.mark.parametrize(
    ("observer", "declared"), [(ROLE, ROLE_DECLARED), (ROLE_POLICY, POLICY_DECLARED), (PROFILE, PROFILE_DECLARED)]
)
def test_as_declared_shows_no_drift(observer: Observer, declared: DeclaredResource) -> None:
    """An untouched role, policy or profile equals its declared inputs, provider defaults included."""
    assert WORLD.drift(observer, declared) == []


@table
@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_failed_listing_is_a_failure(
    observer: Observer, declared: DeclaredResource, operation: str, direct: Any, failure: Answer
) -> None:
    """I06 F01 F10: without the account's roles nothing is said, even if a direct read would deny the resource."""
    world = WORLD.told({ACCOUNT_ROLES: failure, operation: Missing("NoSuchEntity")})
    assert world.see(observer, declared) == failure


@table
def test_empty_listing_is_confirmed(
    observer: Observer, declared: DeclaredResource, operation: str, direct: Any
) -> None:
    """I06 F15: what the listing lacks is gone only if the direct read says NoSuchEntity."""
    empty = WORLD.told({ACCOUNT_ROLES: rows()})
    gone = empty.told({operation: Missing("NoSuchEntity")})
    assert gone.see(observer, declared) == Missing("NoSuchEntity")
    assert {read.absent for read in gone.asked if read.operation == operation} == {frozenset({"NoSuchEntity"})}
    assert empty.told({operation: DENIED}).see(observer, declared) == DENIED
    assert empty.told({operation: rows(direct)}).drift(observer, declared) == []


def test_a_policy_missing_from_a_listed_role() -> None:
    """F08 F15: a listed role without the policy is asked for it directly before the policy counts as gone."""
    bare = WORLD.told({ACCOUNT_ROLES: rows({**LISTED, "RolePolicyList": []})})
    gone = Missing("NoSuchEntity")
    assert bare.told({"get_role_policy": gone}).see(ROLE_POLICY, POLICY_DECLARED) == gone
    assert bare.told({"get_role_policy": DENIED}).see(ROLE_POLICY, POLICY_DECLARED) == DENIED
    answered = bare.told({"get_role_policy": rows({"PolicyDocument": quote(json.dumps(ACCESS))})})
    assert answered.drift(ROLE_POLICY, POLICY_DECLARED) == []


def test_changed_documents_are_drift() -> None:
    """Another principal in the trust policy, or a wider action in the inline policy, is drift."""
    trust = json.loads(json.dumps(TRUST).replace("ec2", "lambda"))
    access = json.loads(json.dumps(ACCESS).replace("GetObject", "*"))
    changed = {
        **LISTED,
        "AssumeRolePolicyDocument": trust,
        "RolePolicyList": [{"PolicyName": NAME, "PolicyDocument": access}],
    }
    world = WORLD.told({ACCOUNT_ROLES: rows(changed)})
    assert world.drift(ROLE, ROLE_DECLARED) == ["assumeRolePolicy"]
    assert world.drift(ROLE_POLICY, POLICY_DECLARED) == ["policy"]


def test_session_duration_and_description_are_read_where_the_program_sets_them() -> None:
    """The listing has neither, so they cost a direct read where programmed; if that fails they alone are unknown."""
    assert not any(read.operation == "get_role" for read in ROLE.reads(ROLE_DECLARED))
    inputs = {**ROLE_DECLARED.inputs, "maxSessionDuration": 7200, "description": "acme"}
    declared = resource(ROLE.kind.token, NAME, inputs, programmed={"maxSessionDuration", "description"})
    assert WORLD.told({"get_role": rows(DIRECT)}).drift(ROLE, declared) == ["maxSessionDuration"]
    for failure in (DENIED, Missing("NoSuchEntity")):
        world = WORLD.told({"get_role": failure})
        assert unreadable(world.properties(ROLE, declared)) == {"maxSessionDuration", "description"}


def test_attached_policies_count_only_where_declared() -> None:
    """Attachments made elsewhere are no drift of the role; where the role declares them, others are."""
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    attached = [{"PolicyArn": arn, "PolicyName": "AdministratorAccess"}]
    world = WORLD.told({ACCOUNT_ROLES: rows({**LISTED, "AttachedManagedPolicies": attached})})
    assert world.drift(ROLE, ROLE_DECLARED) == []
    inline = [{"name": NAME, "policy": json.dumps(ACCESS, indent=1)}]
    inputs = {**ROLE_DECLARED.inputs, "managedPolicyArns": [], "inlinePolicies": inline}
    declared = resource(ROLE.kind.token, NAME, inputs)
    assert world.drift(ROLE, declared) == ["managedPolicyArns"]
    direct = WORLD.told({ACCOUNT_ROLES: rows(), "get_role": rows(DIRECT)})
    assert unreadable(direct.properties(ROLE, declared)) == {"managedPolicyArns", "inlinePolicies"}


def test_role_tags_are_believed_only_when_read_directly() -> None:
    """F08 F15: a listing whose tags differ is not believed until the role itself says so."""
    lost = WORLD.told({ACCOUNT_ROLES: rows({**LISTED, "Tags": []})})
    assert lost.told({"get_role": rows(DIRECT)}).drift(ROLE, ROLE_DECLARED) == []
    stripped = {"Role": {**DIRECT["Role"], "Tags": []}}
    assert lost.told({"get_role": rows(stripped)}).drift(ROLE, ROLE_DECLARED) == ["tags"]
    assert unreadable(lost.told({"get_role": DENIED}).properties(ROLE, ROLE_DECLARED)) == {"tags"}


@pytest.mark.parametrize("failure", [DENIED, THROTTLED])
def test_an_unanswered_profile_is_a_failure(failure: Answer) -> None:
    """I06 F01 F10: a denied or throttled read says nothing of the profile."""
    assert WORLD.told({"get_instance_profile": failure}).see(PROFILE, PROFILE_DECLARED) == failure


@pytest.mark.parametrize(
    ("listing", "sight"),
    [
        (rows({**LISTED, "InstanceProfileList": []}), Missing),
        (rows(LISTED), Failed),
        (DENIED, Failed),
        (rows(), Missing),
    ],
    ids=["agrees", "contradicts", "denied", "empty"],
)
def test_a_profile_is_gone_only_if_no_role_carries_it(listing: Answer, sight: type) -> None:
    """I06 F15: NoSuchEntity is absence only with a complete listing in which no role carries the profile."""
    world = WORLD.told({"get_instance_profile": Missing("NoSuchEntity"), ACCOUNT_ROLES: listing})
    assert isinstance(world.see(PROFILE, PROFILE_DECLARED), sight)


def test_a_profile_without_its_role_is_drift() -> None:
    """A profile whose role was taken out is still there, and not as declared; so is one that lost a tag."""
    bare = {"InstanceProfile": {**INSTANCE_PROFILE["InstanceProfile"], "Roles": [], "Tags": pairs({"Name": "acme-x"})}}
    assert WORLD.told({"get_instance_profile": rows(bare)}).drift(PROFILE, PROFILE_DECLARED) == ["role", "tags"]


@pytest.mark.parametrize(
    ("observer", "inputs", "id_", "direct"),
    [
        (ROLE, {"name": NAME}, NAME, "get_role"),
        (ROLE_POLICY, {"role": NAME, "name": NAME}, f"{NAME}:{NAME}", "get_role_policy"),
        (PROFILE, {"name": NAME}, NAME, "get_instance_profile"),
    ],
)
def test_locating_a_cut_off_create(observer: Observer, inputs: dict[str, str], id_: str, direct: str) -> None:
    """F42: found by name; missing by NoSuchEntity; a failure where the name is not known or AWS does not answer."""
    pending = resource(observer.kind.token, "", inputs)
    assert WORLD.locate(observer, pending) == id_
    empty = WORLD.told({ACCOUNT_ROLES: rows(), direct: Missing("NoSuchEntity")})
    assert isinstance(empty.locate(observer, pending), Missing)
    assert isinstance(empty.told({direct: DENIED}).locate(observer, pending), Failed)
    assert isinstance(WORLD.locate(observer, resource(observer.kind.token, "", {})), Failed)


def test_strays_are_tagged_roles() -> None:
    """Roles are told with their tags; a role without tags belongs to nobody here."""
    world = WORLD.told({ACCOUNT_ROLES: rows(LISTED, {"RoleName": "other", "Arn": "a", "Tags": []})})
    assert world.owned(ROLE, ROLE_DECLARED) == {NAME: TAGS}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@example({"Condition": "%41%25"})
@given(st.dictionaries(st.text(), json_values))
def test_documents_survive_every_spelling(value: dict[str, object]) -> None:
    """A document means the same whether the client hands it over decoded, as JSON or URL-encoded, % signs included."""
    text = json.dumps(value)
    assert json.loads(document(value)) == json.loads(document(text)) == json.loads(document(quote(text))) == value


@pytest.mark.parametrize(
    ("observer", "declared"), [(ROLE, ROLE_DECLARED), (ROLE_POLICY, POLICY_DECLARED), (PROFILE, PROFILE_DECLARED)]
)
def test_property_names_are_the_sdks(observer: Observer, declared: DeclaredResource) -> None:
    """Every property an observer answers or describes is one the Pulumi SDK has for the type."""
    inputs = {**declared.inputs, "description": "x", "managedPolicyArns": [], "inlinePolicies": []}
    full = resource(observer.kind.token, declared.id, inputs, programmed={"maxSessionDuration"})
    answered = set(WORLD.told({"get_role": rows(DIRECT)}).properties(observer, full))
    assert answered | named_in(observer) <= sdk_properties(observer.kind.token)
