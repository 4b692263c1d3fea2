"""Reading the state: what counts as declared, whose it is, and what is refused."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare.state import parse
from reconciler.declare.values import SIGNATURE, decode, encode, value
from reconciler.errors import StateError
from reconciler.model import GROUP, Declared, Secret, TenantFacts, Unreadable
from reconciler.model.paths import property_path
from tests.unit.declare_worlds import NETWORK, SECRET, STACK, component, resource, state, tags, urn

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"


def read(*resources: dict[str, Any], **more: Any) -> Declared:
    return parse(state(resources, **more), cell="dev", version=7)


def test_a_whole_state() -> None:
    """Custom resources are declared, in the state's order; the stack, components and providers are not."""
    declared = read(resource("a"), resource("b", "aws:ec2/subnet:Subnet", dependencies=[urn("a")]))
    assert [(r.name, r.type, r.id) for r in declared.resources.values()] == [
        ("a", "aws:ec2/vpc:Vpc", "a-id"),
        ("b", "aws:ec2/subnet:Subnet", "b-id"),
    ]
    assert (declared.cell, declared.project, declared.version) == ("dev", "stackmend", 7)
    assert (declared.account, declared.region) == ("123456789012", "eu-west-1")
    first, second = declared.resources.values()
    assert (first.parent, first.protect, first.external) == (NETWORK, False, False)
    assert second.dependencies == {urn("a")}


def test_defaults_are_dropped_at_every_level() -> None:
    """What the provider filled in stays a value, but the mark of it goes, and the program's part is kept apart."""
    inputs = {
        "__defaults": ["enableDnsSupport"],
        "enableDnsSupport": True,
        "region": "eu-west-1",
        "tagsAll": {"a": "b"},
        "ebs": {"__defaults": [], "size": 1},
        "rules": [{"__defaults": ["port"], "port": 1, "deep": {"__defaults": [], "x": [{"__defaults": []}]}}],
    }
    (found,) = read(resource("a", inputs=inputs)).resources.values()
    assert found.inputs == {
        "enableDnsSupport": True,
        "region": "eu-west-1",
        "tagsAll": {"a": "b"},
        "ebs": {"size": 1},
        "rules": [{"port": 1, "deep": {"x": [{}]}}],
    }
    assert found.programmed == {"enableDnsSupport", "ebs", "rules"}


def test_what_the_program_set_without_the_state_saying_so() -> None:
    """Without propertyDependencies it is what is neither marked as default nor added by provider version 7."""
    inputs = {"__defaults": ["a"], "a": 1, "b": 2, "region": "eu-west-1", "tagsAll": {}}
    raw = resource("a", inputs=inputs)
    del raw["propertyDependencies"]
    (found,) = read(raw).resources.values()
    assert found.programmed == {"b"}


def test_property_dependencies_count_as_dependencies() -> None:
    """A dependency named only for a property is one; ``null`` lists of older exports are empty ones."""
    raw = resource("b", propertyDependencies={"vpcId": [urn("a")], "cidrBlock": None})
    assert read(resource("a"), raw).resources[urn("b")].dependencies == {urn("a")}


@pytest.mark.parametrize(
    "envelope",
    [
        SECRET,
        {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"hunter2"'},
        {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "hash": "abc", "text": "x"},
        {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "hash": "abc", "path": "./x"},
        {SIGNATURE: "5cf8f73096256a8f31e491e813e4eb8e", "urn": "urn:x", "id": "i"},
        {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "hunter2", "secret": True},
        {SIGNATURE: "something of the future"},
    ],
)
def test_secrets_stay_closed_at_any_depth(envelope: dict[str, Any]) -> None:
    """I13: a secret, an asset or a reference becomes opaque wherever it stands, even as a whole map of tags."""
    inputs = {"a": envelope, "b": [{"c": envelope}], "tags": envelope}
    declared = read(resource("a", inputs=inputs))
    (found,) = declared.resources.values()
    assert found.inputs == {"a": Secret(), "b": [{"c": Secret()}], "tags": Secret()}
    assert "hunter2" not in repr(declared)


def test_unknown_values_are_unreadable() -> None:
    """A value that a cut-off update had not learned yet is neither equal nor unequal to anything."""
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    output = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
    (found,) = read(resource("a", inputs={"x": unknown, "y": [output], "z": output | {"value": 1}})).resources.values()
    assert isinstance(found.inputs["x"], Unreadable)
    assert found.inputs["y"] == [found.inputs["x"]]
    assert found.inputs["z"] == 1


def test_the_old_half_of_a_replacement_is_not_declared() -> None:
    """Of two entries with one URN the one that is to be deleted is left out, whichever stands first."""
    new, old = resource("a", id="new"), resource("a", id="old", delete=True)
    assert read(new, old).resources[urn("a")].id == "new"
    assert read(old, new).resources[urn("a")].id == "new"
    assert read(old).resources == {}
    # The engine lets what waits for its deletion be a parent: the tenant above it is still found.
    (child,) = read(old, resource("b", parent=urn("a"))).resources.values()
    assert (child.name, child.tenant) == ("b", "acme")


def test_protection_and_external_are_kept() -> None:
    """Resources that may not be deleted, or are not Pulumi's, are known as such."""
    (found,) = read(resource("a", protect=True, external=True)).resources.values()
    assert (found.protect, found.external) == (True, True)


def test_names_may_hold_anything() -> None:
    """A logical name with the URN's own separator, dots or slashes in it is the whole last part."""
    for name in ("a::b", "example.com", "../x", "$(x)", "é\u202e"):
        assert read(resource(name)).resources[urn(name)].name == name


def test_the_component_outranks_the_tag() -> None:
    """T01: a tag that names another tenant than the component above the resource is not believed."""
    spoofed = resource("a", inputs={"tags": tags("globex")})
    assert read(spoofed).resources[urn("a")].tenant == "acme"


def test_without_a_component_the_tag_tells() -> None:
    """A resource outside any tenant's component belongs to whom its tag says, or to nobody."""
    listed = [{"key": "stackmend:tenant", "value": "hooli", "propagateAtLaunch": True}]
    declared = read(
        resource("a", parent=STACK, inputs={"tags": tags("globex")}),
        resource("b", parent=STACK, inputs={"tags": listed}),
        resource("c", parent=STACK, inputs={}),
        resource("d", parent=urn("c"), inputs={"tags": {"stackmend:tenant": ""}}),
    )
    assert [r.tenant for r in declared.resources.values()] == ["globex", "hooli", None, None]
    assert [r.name for r in declared.of("hooli")] == ["b"]


def test_tier_and_regimes_come_from_declared_tags() -> None:
    """A tenant's facts are what most of its resources say; one without such tags has a tenant without facts."""
    declared = read(
        resource("a", inputs={"tags": tags(tier="silver", regime="")}),
        resource("b", inputs={"tags": tags()}),
        resource("c", inputs={"tags": tags()}),
        resource("d", parent=STACK, inputs={"tags": {"stackmend:tenant": "globex"}}),
    )
    assert declared.tenants == {
        "acme": TenantFacts("acme", "gold", frozenset({"pci-dss", "soc2"})),
        "globex": TenantFacts("globex", "", frozenset()),
    }


def test_the_account_is_the_one_that_owns_most() -> None:
    """The account comes from ARNs and owners in the outputs; a shared thing of another account does not decide."""
    other = {"arn": "arn:aws-cn:iam::999999999999:policy/x"}
    owned = {"ownerId": "123456789012"}
    assert read(resource("a", outputs=other), resource("b", outputs=owned), resource("c")).account == "123456789012"
    assert read(resource("a", outputs={"arn": SECRET, "ownerId": "nobody"})).account == ""
    assert read(resource("a", outputs={"arn": "arn:aws:s3:::bucket"})).account == ""
    api = {"arn": "arn:aws:apigateway:eu-west-1::/restapis/q7", "executionArn": "arn:aws:execute-api:eu-west-1:{}:q7"}
    called = api | {"executionArn": api["executionArn"].format("123456789012")}
    assert read(resource("a", outputs=called), resource("b", outputs=api)).account == "123456789012"


def test_the_cell_is_where_its_default_provider_is() -> None:
    """The region in the configuration is that of the cell, however many resources are somewhere else."""
    elsewhere = [resource(name, inputs={"region": "eu-north-1"}) for name in "ab"]
    assert read(*elsewhere, resource("c")).region == "eu-west-1"
    assert read().region == "eu-west-1"


def test_without_a_word_of_the_default_provider_resources_tell_the_region() -> None:
    """Version 7 fills the region in on each resource; where the program names another provider, most decide."""
    filled = resource("a", inputs={"region": "eu-north-1"}, propertyDependencies={})
    chosen = [resource(n, inputs={"region": "eu-south-1"}, propertyDependencies={"region": []}) for n in "bc"]
    document = state([filled, *chosen])
    provider = document["deployment"]["resources"][1]
    provider["inputs"] = {}
    assert parse(document, cell="dev").region == "eu-north-1"
    provider["urn"] = provider["urn"].replace("default_7_51_1", "own")
    for one in (filled, *chosen):
        one["provider"] = f"{provider['urn']}::0000-1111"
    assert parse(document, cell="dev").region == "eu-south-1"


def provider(name: str, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::stackmend::pulumi:providers:aws::{name}"
    return {"urn": urn, "custom": True, "id": "2222", "type": "pulumi:providers:aws", "inputs": inputs}


def under(name: str, **changes: Any) -> dict[str, Any]:
    """A resource of an explicit provider."""
    return resource("r", provider=f"urn:pulumi:dev::stackmend::pulumi:providers:aws::{name}::2222", **changes)


ROLE = "arn:aws:iam::210987654321:role/deploy"


@pytest.mark.parametrize(
    ("inputs", "changes", "place"),
    [
        ({"region": "us-east-1"}, {"outputs": {}}, "123456789012 us-east-1"),
        ({"region": "us-east-1"}, {"inputs": {"region": "eu-west-1"}}, ""),
        ({}, {"inputs": {"region": "us-east-1"}}, "123456789012 us-east-1"),
        ({}, {"outputs": {"arn": "arn:aws:sqs:us-east-1:123456789012:q"}}, "123456789012 us-east-1"),
        ({}, {"outputs": {"arn": "arn:aws:sqs:eu-west-1:210987654321:q"}}, "210987654321 eu-west-1"),
        ({}, {"outputs": {"arn": "arn:aws:s3:::b"}}, ""),
        ({"assumeRoles": json.dumps([{"roleArn": ROLE}])}, {"outputs": {}}, "210987654321 eu-west-1"),
        ({"assumeRole": {"roleArn": ROLE}}, {"outputs": {}}, "210987654321 eu-west-1"),
        ({"allowedAccountIds": '["210987654321"]'}, {"outputs": {}}, "210987654321 eu-west-1"),
        ({"allowedAccountIds": '["210987654321", "1"]', "assumeRoles": "["}, {"outputs": {}}, ""),
        ({"region": SECRET, "assumeRoles": SECRET}, {"outputs": {}}, ""),
        # What has no region is not somewhere else because its provider has one.
        ({"region": "us-east-1"}, {"kind": "aws:iam/role:Role", "outputs": {}}, ""),
        ({"region": "us-east-1"}, {"kind": "aws:iam/role:Role", "outputs": {"arn": ROLE}}, "210987654321 eu-west-1"),
        # The ARN of what a target sends to says nothing of the target.
        ({}, {"inputs": {"arn": "arn:aws:sqs:us-east-1:210987654321:q"}, "outputs": {"arn": ROLE}}, ""),
        ({"region": "us-east-1"}, {"kind": "random:index/randomId:RandomId", "outputs": {}}, ""),
    ],
)  # fmt: skip
def test_each_resource_knows_where_it_is(inputs: Any, changes: Any, place: str) -> None:
    """Its own word, its provider's, or its ARN says in which region and account a resource is, or that it is here."""
    declared = read(resource("a"), provider("other", **inputs), under("other", **changes))
    found = next(r for r in declared.resources.values() if r.name == "r")
    assert declared.elsewhere(found) == place


def test_the_account_of_the_default_provider_is_the_cells() -> None:
    """A default provider that takes on a role says whose the cell is, however many resources are another's."""
    document = state([resource("a", outputs={"arn": "arn:aws:sqs:eu-west-1:999999999999:q"})])
    document["deployment"]["resources"][1]["inputs"]["assumeRoles"] = json.dumps([{"roleArn": ROLE}])
    declared = parse(document, cell="dev")
    assert declared.account == "210987654321"
    assert [declared.elsewhere(r) for r in declared.resources.values()] == ["999999999999 eu-west-1"]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("tags", ("tags",)),
        ('tags["a.b"]', ("tags", "a.b")),
        ('["a \\"b\\""].c', ('a "b"', "c")),
        ("rules[0].port", ("rules", 0, "port")),
        ("rules[*].port", ("rules", "*", "port")),
        ('rules["*"]', ("rules", "*")),
        ("*", ("*",)),
        ("a[", ()),
        ("", ()),
    ],
)
def test_property_paths_are_read_as_the_engine_reads_them(path: str, parts: tuple[str | int, ...]) -> None:
    """Names, quoted names, indices and wildcards; what is no path is none, and ignores nothing."""
    assert property_path(path) == parts
    (found,) = read(resource("a", ignoreChanges=[path])).resources.values()
    assert found.ignored == (path,)
    assert found.ignores(str(parts[0]) if parts else "x") == (len(parts) == 1)


def test_the_size_of_a_group_may_be_somebody_elses_to_say() -> None:
    """A group has no declared size if the program ignores changes of it, or declares a policy or schedule for it."""
    group = resource("g", GROUP, inputs={"desiredCapacity": 2}, id="servers")
    policy = resource("p", "aws:autoscaling/policy:Policy", inputs={"autoscalingGroupName": "servers"})
    schedule = resource(
        "s",
        "aws:autoscaling/schedule:Schedule",
        inputs={},
        propertyDependencies={"autoscalingGroupName": [urn("g", GROUP)]},
    )
    off = resource("p", "aws:autoscaling/policy:Policy", inputs={"autoscalingGroupName": "servers", "enabled": False})

    def size(*resources: dict[str, Any]) -> int | None:
        return read(*resources).resources[urn("g", GROUP)].size

    assert [size(group, *more) for more in ((), (off,), (policy,), (schedule,))] == [2, 2, None, None]
    assert size(group | {"ignoreChanges": ["desiredCapacity"]}) is None
    assert size(group | {"ignoreChanges": ["*"]}) is None
    assert size(group | {"ignoreChanges": ["tags"]}) == 2


@pytest.mark.parametrize("said", [{"keys": ["a"], "keyPrefixes": ["k8s/"]}, '{"keys":["a"],"keyPrefixes":["k8s/"]}'])
def test_a_providers_ignored_tags_are_known_of_its_resources(said: Any) -> None:
    """The provider's configuration is an object, or as the engine writes it, JSON in a text."""
    declared = read(resource("a"), provider("other", ignoreTags=said), under("other"))
    mine, others = (r.ignored_tags for r in declared.resources.values())
    assert not mine
    assert [key in others for key in ("a", "ab", "k8s/x", "b")] == [True, False, True, False]
    assert not read(provider("other", ignoreTags=SECRET), under("other")).resources[urn("r")].ignored_tags


@pytest.mark.parametrize(
    ("outputs", "region"),
    [
        ([{"arn": "arn:aws:sqs:eu-south-2:123456789012:q"}, {"arn": "arn:aws:iam::123456789012:role/r"}], "eu-south-2"),
        ([{"arn": "arn:aws:apigateway:eu-south-2::/restapis/q7"}], "eu-south-2"),
        ([{"arn": "arn:aws:s3:::b", "region": "eu-south-2"}], "eu-south-2"),
        ([{"arn": f"arn:aws:acm:{place}:123456789012:certificate/c"} for place in ("x-1", "y-1", "y-1")], "y-1"),
        ([{"arn": "arn:aws:iam::123456789012:user/u", "region": SECRET}, {}], ""),
    ],
)
def test_without_a_region_in_the_provider_what_it_made_tells(outputs: list[dict[str, Any]], region: str) -> None:
    """A provider that takes all its configuration from the environment has neither inputs nor outputs in the state."""
    document = state([resource(f"r{i}", outputs=made) for i, made in enumerate(outputs)])
    for key in ("inputs", "outputs"):
        del document["deployment"]["resources"][1][key]
    assert parse(document, cell="dev").region == region


def test_unusual_forms_are_read() -> None:
    """What exports of other years and other languages leave out, say with null, or add is no damage."""
    bare = {"urn": urn("bare", "aws:sqs/queue:Queue"), "custom": True, "type": "aws:sqs/queue:Queue"}
    nothing = dict.fromkeys(
        ("id", "parent", "provider", "inputs", "outputs", "dependencies", "propertyDependencies", "created", "protect")
    )
    mixin = component(urn("mixin", "aws:sqs:QueueEventSubscription"), urn("a"))
    old = resource(
        "old",
        inputs={"tags": {"__defaults": [], "app": "x"}, "password": "in clear"},
        outputs={"arn": None, "tagsAll": SECRET, "password": SECRET},
        propertyDependencies={"tags": None, "renamed": None},
        additionalSecretOutputs=["tagsAll"],
    )
    more: dict[str, Any] = {"aliases": [], "initErrors": None, "stackTrace": [{}], "external": None}
    document = state([resource("a", **more), mixin, {**bare, "urn": urn("b")}, bare | nothing, old])
    document["deployment"] |= {"pending_operations": None, "secrets_providers": {"type": "passphrase"}}
    del document["deployment"]["metadata"]
    found = {r.name: r for r in parse(document, cell="dev").resources.values()}
    assert list(found) == ["a", "b", "bare", "old"]
    assert (found["bare"].id, found["bare"].inputs, found["bare"].tenant) == ("", {}, None)
    assert found["old"].inputs["tags"] == {"app": "x"}
    assert found["old"].programmed == {"tags", "renamed"}


def test_pending_operations_are_kept() -> None:
    """F42: what a killed update left open is known, with its kind, also when it has no id yet."""
    cut_off = resource("a")
    del cut_off["id"]
    declared = read(pending=[{"type": "creating", "resource": cut_off}])
    ((kind, found),) = ((p.kind, p.resource) for p in declared.pending)
    assert (kind, found.name, found.id, found.tenant) == ("creating", "a", "", "acme")
    assert declared.resources == {}


def test_an_empty_stack_declares_nothing() -> None:
    """A stack that was never updated exports no list of resources at all; that is no error."""
    deployments: list[dict[str, Any] | None] = [{"manifest": {}, "metadata": {}}, {"resources": None}, None]
    for deployment in deployments:
        declared = parse({"version": 3, "deployment": deployment}, cell="dev")
        assert (declared.resources, declared.project, declared.account) == ({}, "", "")


@pytest.mark.parametrize("version", [None, "3", 0, 2, 5, 99, True])
def test_a_version_that_is_not_known_is_refused(version: object) -> None:
    """B48: a state of a version of the future, or of none, is refused instead of half understood."""
    with pytest.raises(StateError, match="version"):
        parse(state() | {"version": version}, cell="dev")


def test_version_four_is_read_if_its_features_are_harmless() -> None:
    """The engine writes version 4 for a tainted resource, which means the same; with a feature not known it may not."""
    assert parse(state([resource("a")]) | {"version": 4, "features": ["taint"]}, cell="dev").resources
    with pytest.raises(StateError, match="views"):
        parse(state() | {"version": 4, "features": ["taint", "views"]}, cell="dev")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"urn": None}, "urn None"),
        ({"urn": "urn:pulumi:dev::stackmend"}, "is not urn:pulumi"),
        ({"type": 5}, "type 5"),
        ({"type": None}, "type None"),
        ({"id": 5}, "id 5"),
        ({"custom": "yes"}, "custom 'yes'"),
        ({"inputs": []}, r"inputs \[\]"),
        ({"outputs": "x"}, "outputs 'x'"),
        ({"dependencies": "x"}, "dependencies is not a list"),
        ({"dependencies": [5]}, "dependencies holds"),
        ({"propertyDependencies": {"a": 5}}, "a is not a list"),
        ({"propertyDependencies": []}, "propertyDependencies"),
        ({"parent": "urn:pulumi:dev::stackmend::x:y:Z::gone"}, "is not in the state"),
        ({"parent": urn("a")}, "is below itself"),
        ({"delete": 1}, "delete 1"),
        ({"ignoreChanges": "tags"}, "ignoreChanges is not a list"),
        ({"ignoreChanges": [5]}, "ignoreChanges holds"),
    ],
)
def test_a_damaged_resource_is_refused_by_place(changes: dict[str, Any], message: str) -> None:
    """F45: a resource of a form that the engine never writes stops everything, and the error says which and what."""
    with pytest.raises(StateError, match=message) as caught:
        read(resource("b"), resource("a", **changes))
    assert "deployment.resources[5]" in caught.value.where or urn("a") in caught.value.where


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"version": 3},
        {"version": 3, "deployment": []},
        {"version": 3, "deployment": {"resources": {}}},
        {"version": 3, "deployment": {"resources": [None]}},
        {"version": 3, "deployment": {"pending_operations": [{}]}},
        {"version": 3, "deployment": {"pending_operations": [{"type": "creating"}]}},
        {"version": 3, "deployment": {"resources": [resource("a", parent=""), resource("a", parent="")]}},
    ],
)
def test_a_damaged_document_is_refused(document: Any) -> None:
    """F45: whatever is no export is a StateError, never another exception and never an empty declaration."""
    with pytest.raises(StateError):
        parse(document, cell="dev")


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


@pytest.mark.parametrize("place", ["inputs", "dependencies", "outputs", "urn"])
def test_what_is_nested_without_end_is_refused_by_place(place: str) -> None:
    """F45: nothing that walks into a value runs out of room for it; what is as deep as a program may be is read."""
    endless: Any = {}
    for _ in range(5000):
        endless = {"a": endless}
    changes: dict[str, Any] = {place: endless if place == "inputs" else [endless]}
    with pytest.raises(StateError) as caught:
        read(resource("a", **changes))
    assert "deployment.resources[4]" in caught.value.where or urn("a") in caught.value.where
    deep = read(resource("a", inputs={"x": nested(100)})).resources[urn("a")]
    assert deep.inputs == {"x": nested(100)}
    with pytest.raises(StateError, match="too deeply"):
        read(resource("a", inputs={"x": nested(101)}))


SPOTS = st.lists(st.integers(0, 30), min_size=1, max_size=6)
JUNK: st.SearchStrategy[Any] = (
    st.none() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just([{}])
)


@given(SPOTS, JUNK)
def test_damage_anywhere_is_a_clear_error_or_harmless(path: list[int], junk: object) -> None:
    """F45: with any one value replaced by junk, the state is read or refused; nothing else is ever raised."""
    document = copy.deepcopy(state([resource("a", inputs={"tags": tags(), "x": [{"y": SECRET}]}), resource("b")]))
    holder: Any = document
    for number, step in enumerate(path):
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if number == len(path) - 1 or not isinstance(holder[key], dict | list):
            holder[key] = junk
            break
        holder = holder[key]
    with suppress(StateError):
        assert parse(document, cell="dev").cell == "dev"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(Secret()) | st.builds(Unreadable, st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_values_survive_the_store(plain: Any) -> None:
    """A value encoded as JSON comes back the same, a secret as a secret without content."""
    assert decode(json.loads(json.dumps(encode(plain)))) == plain


@given(PLAIN)
def test_encoded_marks_are_never_opened(plain: Any) -> None:
    """An encoded value read as state, as when a baseline were taken for one, shows no mark as a plain value."""
    assert SIGNATURE not in repr(value(encode(plain)))


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded states of the official provider are not here")
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.stack.json")), ids=lambda path: path.name)
def test_recorded_states_of_the_official_provider(path: Path) -> None:
    """Every state recorded from real AWS is read: all its resources, its region, and its account if ARNs tell it."""
    document = json.loads(path.read_text())
    declared = parse(document, cell="test")
    custom = [r for r in document["deployment"]["resources"] if r["custom"] and not r["type"].startswith("pulumi:")]
    assert len(custom) > 0
    assert list(declared.resources) == [r["urn"] for r in custom]
    assert declared.region in {"us-west-2", "us-east-2"}
    assert len(declared.account) == (0 if path.name.startswith("bucket") else 12)
    for raw in custom:
        found = declared.resources[raw["urn"]]
        assert "__defaults" not in repr(found.inputs)
        assert found.id == raw["id"]
        assert set(found.programmed).isdisjoint(raw["inputs"].get("__defaults", ()))
