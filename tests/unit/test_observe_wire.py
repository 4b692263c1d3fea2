"""The lean way to AWS: the same bytes out, the same values in, the same refusals as botocore, and the guard first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ParamValidationError
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import WriteRefused
from reconciler.observe.clients import Clients
from reconciler.observe.wire.sign import Signer
from tests.moto_server import serving
from tests.unit.observe_server import ENVIRONMENT, build
from tests.unit.observe_worlds import ACCOUNT, REGION

WRAPPED = "<R xmlns='http://e'><DescribeLoadBalancersResult>{}</DescribeLoadBalancersResult></R>"


class Line:
    """Stands where requests leave the process and answers each with the same reply."""

    def __init__(self) -> None:
        self.reply: tuple[int, str] = (200, "")
        self.sent: list[Any] = []

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        status, text = self.reply
        raw: Any = type("Raw", (), {"stream": lambda _self: iter([text.encode()])})()
        headers: Any = {"content-type": "text/xml"}
        return AWSResponse(request.url, status, headers, raw)


@pytest.fixture(scope="module")
def scripted() -> tuple[Clients, Line]:
    core, line = botocore.session.Session(), Line()
    core.set_credentials("testing", "testing")
    core.register("before-send", line)  # type: ignore[arg-type]
    return Clients(REGION, ACCOUNT, session=core), line


@pytest.fixture
def line(scripted: tuple[Clients, Line]) -> Line:
    scripted[1].sent.clear()
    return scripted[1]


@pytest.fixture
def clients(scripted: tuple[Clients, Line]) -> Clients:
    return scripted[0]


# --- the way out -------------------------------------------------------------------------------------------

words = st.text("abcXYZ019-_.~ /=+&:ü", max_size=12)


@given(
    method=st.sampled_from(["GET", "POST"]),
    path=st.sampled_from(["/", "/bucket", "/a/../b", "/ü%20x", ""]),
    query=st.sampled_from(["", "versioning", "b=2&a=1", "x=%2F&x=1"]),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "X-Amz-Target", "User-Agent"]), words),
    body=st.binary(max_size=40),
    token=st.none() | st.just("session"),
    s3=st.booleans(),
    host=st.sampled_from(["https://ec2.eu-north-1.amazonaws.com", "http://127.0.0.1:5000", "https://h:443"]),
)
def test_signatures_are_botocores(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    s3: bool,
    host: str,
) -> None:
    """Whatever is signed, the headers are those that botocore's own signer makes at the same moment."""
    who = Credentials("AKID", "secret", token)
    url = f"{host}{path or '/' if s3 else path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, {**headers}, body)
    request.context["payload_signing_enabled"] = True
    (S3SigV4Auth if s3 else SigV4Auth)(who, "svc", REGION).add_auth(request)
    at = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signer = Signer("svc", REGION, s3=s3)
    for _ in range(2):
        made = signer.headers(method, url, headers, body, who.get_frozen_credentials(), at)
        assert {k.lower(): v for k, v in made.items()} == {k.lower(): v for k, v in request.headers.items()}


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ec2", "describe_vpcs", {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1", "ü & b"]}], "MaxResults": 5}),
        ("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": ["a b"]}),
        ("s3", "get_bucket_encryption", {"Bucket": "some-bucket"}),
        ("s3", "get_bucket_encryption", {"Bucket": "Dotted.bucket"}),
        ("s3", "list_buckets", {"Prefix": "a/b c"}),
        ("kms", "describe_key", {"KeyId": "alias/x"}),
        ("iam", "get_role", {"RoleName": "r"}),
        ("sts", "get_caller_identity", {}),
    ],
)
def test_requests_are_botocores(
    clients: Clients, line: Line, service: str, operation: str, params: dict[str, Any]
) -> None:
    """Method, address, body and content headers are those of botocore's client, and both are signed for the same."""
    line.reply = (403, "<E><Error><Code>Denied</Code></Error></E>")
    with pytest.raises(ClientError):
        getattr(clients.client(service), operation)(**params)
    with pytest.raises(ClientError):
        clients.wire(service).call(operation, params)
    theirs, ours = line.sent
    plain = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in theirs.headers.items()}
    mine = {k.lower(): v for k, v in ours.headers.items()}
    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    assert _text(ours.body) == _text(theirs.body)
    assert plain.keys() - mine.keys() <= {"amz-sdk-invocation-id", "amz-sdk-request"}
    assert {
        mine[k] for k in ("content-type", "x-amz-target", "content-length", "x-amz-content-sha256") if k in mine
    } == {plain[k] for k in ("content-type", "x-amz-target", "content-length", "x-amz-content-sha256") if k in plain}
    assert mine["authorization"].split("/")[2:4] == plain["authorization"].split("/")[2:4]


def _text(body: object) -> str:
    return body.decode() if isinstance(body, bytes) else str(body or "")


def test_the_guard_stands_before_the_lean_way(clients: Clients, line: Line) -> None:
    """I15: a write that is asked of the lean way is refused like any other, and nothing is sent."""
    for service, operation, params in (
        ("ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
        ("s3", "put_bucket_policy", {"Bucket": "bucket", "Policy": "{}"}),
        ("kms", "disable_key", {"KeyId": "k"}),
        ("s3", "get_object", {"Bucket": "bucket", "Key": "k"}),
    ):
        with pytest.raises(WriteRefused):
            clients.wire(service).call(operation, params)
    assert line.sent == []


def test_parameters_are_checked(clients: Clients, line: Line) -> None:
    """A call that the API does not have in this form is refused before it is sent."""
    with pytest.raises(ParamValidationError):
        clients.wire("ec2").call("describe_vpcs", {"VpcIds": "vpc-1"})
    assert line.sent == []


# --- the way in --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[Clients]:
    """A server with a network, servers, a key, a bucket, an alarm, a log group and a role."""
    with serving() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        build(address)
        core = botocore.session.Session()

        def make(service: str) -> Any:
            return core.create_client(service, region_name=REGION)

        key = make("kms").create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["KeyId"]
        make("kms").create_alias(AliasName="alias/x", TargetKeyId=key)
        store = make("s3")
        store.create_bucket(Bucket="some-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        store.put_bucket_tagging(Bucket="some-bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b & <c>"}]})
        store.put_bucket_versioning(Bucket="some-bucket", VersioningConfiguration={"Status": "Enabled"})
        rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        store.put_bucket_encryption(Bucket="some-bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
        store.put_bucket_policy(Bucket="some-bucket", Policy='{"Version":"2012-10-17","Statement":[]}')
        make("logs").create_log_group(logGroupName="/x", tags={"a": "b"})
        make("cloudwatch").put_metric_alarm(
            AlarmName="x",
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.5,
            ComparisonOperator="GreaterThanThreshold",
            Dimensions=[{"Name": "d", "Value": "v"}],
            Tags=[{"Key": "a", "Value": "b"}],
        )
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
        make("iam").create_role(RoleName="r", AssumeRolePolicyDocument=policy, Tags=[{"Key": "a", "Value": "b"}])
        make("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy)
        yield Clients(REGION, ACCOUNT)


ANSWERS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("ec2", "describe_vpcs", {}),
    ("ec2", "describe_subnets", {}),
    ("ec2", "describe_internet_gateways", {}),
    ("ec2", "describe_route_tables", {}),
    ("ec2", "describe_security_groups", {}),
    ("ec2", "describe_launch_templates", {}),
    ("ec2", "describe_launch_template_versions", {"Versions": ["$Latest"]}),
    ("ec2", "describe_instances", {}),
    ("autoscaling", "describe_auto_scaling_groups", {}),
    ("elbv2", "describe_load_balancers", {}),
    ("elbv2", "describe_target_groups", {}),
    ("s3", "list_buckets", {}),
    ("s3", "get_bucket_tagging", {"Bucket": "some-bucket"}),
    ("s3", "get_bucket_versioning", {"Bucket": "some-bucket"}),
    ("s3", "get_bucket_policy", {"Bucket": "some-bucket"}),
    ("s3", "get_bucket_encryption", {"Bucket": "some-bucket"}),
    ("s3", "head_bucket", {"Bucket": "some-bucket"}),
    ("kms", "list_keys", {}),
    ("kms", "describe_key", {"KeyId": "alias/x"}),
    ("kms", "list_aliases", {}),
    ("cloudwatch", "describe_alarms", {}),
    ("logs", "describe_log_groups", {}),
    ("sqs", "list_queues", {"MaxResults": 1000}),
    ("events", "list_rules", {"EventBusName": "default"}),
    ("iam", "get_account_authorization_details", {"Filter": ["Role"]}),
    ("iam", "get_role", {"RoleName": "r"}),
    ("resourcegroupstaggingapi", "get_resources", {}),
    ("sts", "get_caller_identity", {}),
)


@pytest.mark.parametrize(("service", "operation", "params"), ANSWERS, ids=[f"{s}:{o}" for s, o, _ in ANSWERS])
def test_answers_are_botocores(served: Clients, service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Every answer that the observers use comes out with the same names, values and types as from botocore."""
    theirs = getattr(served.client(service), operation)(**params)
    del theirs["ResponseMetadata"]
    ours = served.wire(service).call(operation, params)
    assert ours == {name: value for name, value in theirs.items() if value is not None}


@pytest.mark.parametrize(
    ("service", "operation", "params", "body"),
    [
        ("s3", "get_bucket_versioning", {"Bucket": "bucket"}, ""),
        ("s3", "get_bucket_versioning", {"Bucket": "bucket"}, "<html><body>sign in</body></html>"),
        ("s3", "get_bucket_versioning", {"Bucket": "bucket"}, "<VersioningConfiguration><Stat"),
        ("s3", "list_buckets", {}, "{}"),
        ("ec2", "describe_vpc_attribute", {"VpcId": "vpc-1", "Attribute": "enableDnsSupport"}, "<html><p/></html>"),
        ("elbv2", "describe_load_balancers", {}, "<R><Other/></R>"),
        ("elbv2", "describe_load_balancers", {}, WRAPPED.format("<LoadBalancers><member><CreatedTime>soon")),
        ("kms", "describe_key", {"KeyId": "k"}, "[]"),
        ("kms", "describe_key", {"KeyId": "k"}, "{}"),
        ("kms", "describe_key", {"KeyId": "k"}, '{"KeyMetadata": "gone"}'),
        ("events", "list_rules", {}, "{}"),
        ("sqs", "list_queues", {}, ""),
        ("sqs", "list_queues", {}, "[]"),
        ("kms", "list_keys", {}, '{"Keys": {"a": 1}}'),
        ("kms", "list_keys", {}, '{"Keys": ["a"]}'),
        ("kms", "describe_key", {"KeyId": "k"}, "<html/>"),
        ("iam", "get_role", {"RoleName": "r"}, "<R><GetRoleResult><Role><AssumeRolePolicyDocument>%7B</"),
    ],
)
def test_what_is_no_answer_is_an_error(
    clients: Clients, line: Line, service: str, operation: str, params: dict[str, Any], body: str
) -> None:
    """F16: an empty, cut, foreign or wrongly built body with status 200 is never an empty answer."""
    line.reply = (200, body)
    with pytest.raises(ResponseParserError):
        clients.wire(service).call(operation, params)


def test_s3_may_fail_after_saying_200(clients: Clients, line: Line) -> None:
    """F16 F02: an error in a body of status 200 is a fault of AWS's side, which is worth another try."""
    line.reply = (200, "<?xml version='1.0'?>\n<Error><Code>InternalError</Code><Message>sorry</Message></Error>")
    with pytest.raises(ClientError) as caught:
        clients.wire("s3").call("get_bucket_versioning", {"Bucket": "bucket"})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert caught.value.response["Error"]["Code"] == "InternalError"


def test_a_bucket_elsewhere_is_left_to_botocore(clients: Clients, line: Line) -> None:
    """A redirect is followed by botocore, which knows how; from then on it makes the calls for that bucket."""
    line.reply = (400, "<Error><Code>IllegalLocation</Code><Message>elsewhere</Message></Error>")
    for sent in (2, 1):
        line.sent.clear()
        with pytest.raises(ClientError):
            clients.wire("s3").call("get_bucket_versioning", {"Bucket": "far-bucket"})
        assert len(line.sent) == sent


def test_sqs_leaves_out_what_is_empty(clients: Clients, line: Line) -> None:
    """An account without queues is an object with nothing in it, which no other service's answer is."""
    line.reply = (200, "{}")
    assert clients.wire("sqs").call("list_queues", {"MaxResults": 1000}) == {}


def test_nothing_where_something_was_is_left_out(clients: Clients, line: Line) -> None:
    """A null in JSON is a member that is not there, as botocore has it."""
    line.reply = (200, '{"KeyMetadata": {"KeyId": "k", "Description": null, "CreationDate": 0}}')
    found = clients.wire("kms").call("describe_key", {"KeyId": "k"})
    assert found == {"KeyMetadata": {"KeyId": "k", "CreationDate": datetime(1970, 1, 1, tzinfo=UTC)}}
