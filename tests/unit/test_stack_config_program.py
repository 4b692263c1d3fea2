"""The program: it gets from the engine what the file says, registers nothing if that is bad, and keeps its outputs."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.config import CellConfig, load_file
from stacks.program import run
from stacks.selection import VARIABLE
from tenancy.errors import ConfigurationError
from tests.unit.components_recorder import Recorder, record
from tests.unit.test_stack_config_file import GOOD
from tests.unit.test_tenancy_tenant import GOOD as TENANT
from tests.unit.test_tenancy_tenant import networks

KEPT = {"acme": {"url": "https://kept"}, "globex": {"url": "https://kept too"}, "gone": {"url": "https://gone"}}
ANSWERS: dict[str, Any] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]},
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
    "aws:ec2/getAmi:getAmi": {"id": "ami-latest"},
    "pulumi:pulumi:readStackOutputs": {"outputs": {"tenants": KEPT, "events_queue_url": "https://kept/queue"}},
}


@pytest.fixture(autouse=True)
def _all_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> CellConfig:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(GOOD)
    return load_file(path)


def as_engine_gives(config: CellConfig) -> dict[str, str]:
    """The configuration as text by key, lists as JSON: the form in which the engine hands it to the program."""
    values = config.model_dump(mode="json", exclude_none=True)
    return {
        "aws:region": values["region"],
        "stackmend:owner": values["owner"],
        "stackmend:alarm_topic_arn": values["alarm_topic_arn"],
        "stackmend:events": json.dumps(values["events"]),
        "stackmend:tenants": json.dumps(values["tenants"]),
    }


def ran(config: dict[str, str], stack: str = "dev") -> Recorder:
    return record(run, stack=stack, config=config, answers=ANSWERS)


def refused(config: dict[str, str], stack: str = "dev") -> str:
    """Run with something bad: a plain error, and not one resource registered."""
    told: list[str] = []

    def program() -> None:
        with pytest.raises(pulumi.RunError) as caught:
            run()
        told.append(str(caught.value))

    recorder = record(program, stack=stack, config=config, answers={})
    assert not recorder.resources
    return told[0]


def test_the_program_reads_from_the_engine_what_the_file_says(config: CellConfig) -> None:
    """Every tenant of the file becomes a world with its own network, image and outputs."""
    recorder = ran(as_engine_gives(config))
    vpcs = {name: r.inputs["cidrBlock"] for (kind, name), r in recorder.resources.items() if kind == "aws:ec2/vpc:Vpc"}
    assert vpcs == {"acme-vpc": "10.0.0.0/20", "globex-vpc": "10.0.16.0/20"}
    assert recorder.one("ec2/launchTemplate:LaunchTemplate", "acme-server")["imageId"] == "ami-latest"
    assert recorder.one("ec2/launchTemplate:LaunchTemplate", "globex-server")["imageId"] == "ami-12345678"
    assert recorder.one("ec2/subnet:Subnet", "globex-private-b")["availabilityZone"] == "eu-west-1b"
    assert recorder.outputs["tenants"]["acme"] == {
        "url": "https://acme-alb.example",
        "bucket": "acme-data-id",
        "log_group": "/stackmend/dev/acme/api",
        "vpc_id": "acme-vpc-id",
        "servers": "acme-servers-1234567",
    }


def test_a_queue_of_change_events_is_declared_where_the_cell_says_so(config: CellConfig) -> None:
    """Only then there are its resources and the outputs by which the reconciler finds it."""
    without = ran(as_engine_gives(config))
    recorder = ran(as_engine_gives(config.model_copy(update={"events": True})))
    added = recorder.resources.keys() - without.resources.keys()
    assert len(added) == 6
    assert {name for _, name in added} == {
        "events", "events-queue", "events-dead-letters", "events-queue-policy", "events-rule", "events-target"
    }  # fmt: skip
    assert recorder.outputs["events_queue_arn"] == "arn:of:events-queue"
    assert "events_queue_url" in recorder.outputs
    assert without.outputs.keys() == {"tenants"}


def test_data_is_protected_outside_of_development(config: CellConfig) -> None:
    """The cell's name decides: dev may be destroyed, prod may not, and prod never asks for the newest image."""
    pinned = config.model_copy(update={"tenants": config.tenants[1:]})
    without_ami = {token: answer for token, answer in ANSWERS.items() if "getAmi" not in token}
    prod = record(run, stack="prod", config=as_engine_gives(pinned), answers=without_ami)
    assert prod.resources["aws:s3/bucket:Bucket", "globex-data"].protect
    assert not ran(as_engine_gives(config)).resources["aws:s3/bucket:Bucket", "globex-data"].protect


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stackmend:tenants": "[]"}, "tenants: (an empty list) is empty"),
        ({"stackmend:tenants": "{not json"}, "tenants: '{not json' is not a list"),
        ({"stackmend:tenants": '"*"'}, "tenants: '*' is not a list"),
        ({"stackmend:owner": "<b>"}, "owner: '<b>'"),
        ({"stackmend:events": "yes"}, "events: 'yes' is neither true nor false"),
        ({"aws:region": "eu-west-2"}, "alarm_topic_arn"),
    ],
)
def test_bad_configuration_ends_the_program_before_it_begins(
    config: CellConfig, change: dict[str, str], told: str
) -> None:
    """From the engine, too, bad values are told by path and value, and no lookup and no resource is asked for."""
    message = refused({**as_engine_gives(config), **change})
    assert "stack configuration: " in message
    assert told in message


def test_an_unknown_key_is_refused_in_the_program_too(config: CellConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped key given with ``--config`` is not silently ignored (B10)."""
    given_keys = as_engine_gives(config)
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({**given_keys, "stackmend:ownr": "x"}))
    assert "config.stackmend:ownr" in refused(given_keys)


def test_a_run_for_one_tenant_leaves_the_others_out_and_keeps_their_outputs(
    config: CellConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the named tenant is registered; what was said of the others and of the cell stays, except of those that left
    the cell."""
    monkeypatch.setenv(VARIABLE, "acme")
    recorder = ran(as_engine_gives(config.model_copy(update={"events": True})))
    assert {name.partition("-")[0] for _, name in recorder.resources} == {"acme"}
    assert recorder.outputs["events_queue_url"] == "https://kept/queue"
    assert recorder.outputs["tenants"]["globex"] == KEPT["globex"]
    assert recorder.outputs["tenants"]["acme"]["url"] == "https://acme-alb.example"
    assert set(recorder.outputs["tenants"]) == {"acme", "globex"}


@pytest.mark.parametrize("names", ["", "*", "Acme", "acme,nobody", "acme,", "../acme"])
def test_a_run_for_a_tenant_that_does_not_exist_is_refused(
    config: CellConfig, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    """Unknown names, the empty selection and wildcards select nothing and nobody (B20-B22, B29)."""
    monkeypatch.setenv(VARIABLE, names)
    assert "is no tenant of this cell; allowed: names joined by commas, of acme, globex" in refused(
        as_engine_gives(config)
    )


def cell_of(cidrs: list[IPv4Network]) -> CellConfig:
    tenants = [{**TENANT, "name": f"tenant-{n}", "cidr": str(cidr)} for n, cidr in enumerate(cidrs)]
    topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
    fields = {"cell": "dev", "region": "eu-west-1", "owner": "platform", "alarm_topic_arn": topic, "tenants": tenants}
    return CellConfig.model_validate(fields)


@given(st.lists(networks(), min_size=1, max_size=25))
def test_overlapping_networks_are_always_found(cidrs: list[IPv4Network]) -> None:
    """A cell loads exactly when no two of its networks share an address, whatever their sizes and order (B39)."""
    ranges = sorted((int(cidr[0]), int(cidr[-1])) for cidr in cidrs)
    if all(one[1] < other[0] for one, other in pairwise(ranges)):
        assert [tenant.cidr for tenant in cell_of(cidrs).tenants] == cidrs
    else:
        with pytest.raises(ValueError, match="overlaps"):
            cell_of(cidrs)


@given(data=st.data())
def test_networks_inside_one_another_are_found(data: st.DataObject) -> None:
    """A network and any network inside it are never both taken."""
    outer = data.draw(networks().filter(lambda network: network.prefixlen < 24))
    inner = data.draw(st.sampled_from(list(outer.subnets(new_prefix=data.draw(st.integers(outer.prefixlen, 24))))))
    pair = data.draw(st.permutations([outer, inner]))
    with pytest.raises(ValueError, match="overlaps"):
        cell_of(list(pair))


def test_the_error_of_a_program_is_one_line_a_problem() -> None:
    """A ConfigurationError prints its problems one below the other, without a traceback."""
    with pytest.raises(ConfigurationError) as caught:
        load_file(Path("/nonexistent/Pulumi.dev.yaml"))
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
