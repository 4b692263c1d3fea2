"""Making reads: every way AWS and the network fail becomes an answer that says so, and a bug stays a bug."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
import stamina
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ConfigurationError, WrongAccount
from reconciler.observe.clients import AccountUnverified, Clients, queue_client
from reconciler.observe.executor import run, thaw
from reconciler.observe.pace import Limiter
from reconciler.observe.reads import Failed, Missing, Read, Rows
from tests.unit.observe_server import ENVIRONMENT
from tests.unit.observe_worlds import ACCOUNT, REGION

VPCS = Read("ec2", "describe_vpcs", "Vpcs")
ONE = Read("ec2", "DescribeVpcs", "Vpcs", (("VpcIds", ("vpc-1",)),), frozenset({"InvalidVpcID.NotFound"}), "vpc-1")

Reply = tuple[int, str] | Exception


class Wire:
    """Stands where requests leave the process: answers each from a script, by operation; the last answer repeats."""

    def __init__(self) -> None:
        self.script: dict[str, list[Reply]] = {}
        self.sent: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        body = request.body or b""
        fields = {k: v[0] for k, v in parse_qs(body.decode() if isinstance(body, bytes) else str(body)).items()}
        with self._lock:
            self.sent.append(fields)
            replies = self.script[fields["Action"]]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        status, text = reply
        raw: Any = type("Raw", (), {"stream": lambda _self: iter([text.encode()])})()
        headers: Any = {"content-type": "text/xml"}
        return AWSResponse(request.url, status, headers, raw)


@pytest.fixture(scope="module")
def session() -> tuple[botocore.session.Session, Wire]:
    """One session for all tests, since loading the API's models is slow, and the wire it sends to."""
    core, wire = botocore.session.Session(), Wire()
    core.set_credentials("testing", "testing")
    core.register("before-send", wire)  # type: ignore[arg-type]
    return core, wire


@pytest.fixture
def wire(session: tuple[botocore.session.Session, Wire]) -> Wire:
    wire = session[1]
    wire.script.clear()
    wire.sent.clear()
    return wire


@pytest.fixture
def clients(session: tuple[botocore.session.Session, Wire], wire: Wire) -> Iterator[Clients]:
    """Clients on the scripted wire, with retries that do not wait."""
    with stamina.set_testing(True, attempts=3):
        yield Clients(REGION, ACCOUNT, session=session[0])


def vpcs(*ids: str, token: str = "") -> Reply:
    items = "".join(f"<item><vpcId>{id_}</vpcId></item>" for id_ in ids)
    more = f"<nextToken>{token}</nextToken>" if token else ""
    return 200, f"<DescribeVpcsResponse><vpcSet>{items}</vpcSet>{more}</DescribeVpcsResponse>"


def refusal(status: int, code: str, message: str = "words") -> Reply:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"


def identity(account: str) -> Reply:
    result = f"<GetCallerIdentityResult><Account>{account}</Account></GetCallerIdentityResult>"
    return 200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"


def ids(answer: object) -> list[str]:
    assert isinstance(answer, Rows), answer
    return [row["VpcId"] for row in answer.rows]


def test_equal_reads_are_made_once_and_pages_followed(clients: Clients, wire: Wire) -> None:
    """Two observers that ask the same share one answer; every page counts as one call."""
    wire.script["DescribeVpcs"] = [vpcs("vpc-1", token="t"), vpcs("vpc-2")]
    answers = run([VPCS, VPCS], clients)
    assert ids(answers[VPCS]) == ["vpc-1", "vpc-2"]
    assert clients.calls == 2
    assert [sent.get("MaxResults") for sent in wire.sent] == ["1000", "1000"]


def test_an_empty_list_is_an_answer(clients: Clients, wire: Wire) -> None:
    """F15: an empty list with status 200 is passed on as such; what it proves is decided elsewhere."""
    wire.script["DescribeVpcs"] = [vpcs()]
    assert run([VPCS], clients) == {VPCS: Rows(())}


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(400, "RequestLimitExceeded"),
        refusal(503, "ServiceUnavailable"),
        refusal(500, "InternalError"),
        (502, "<html>bad gateway</html>"),
        EndpointConnectionError(endpoint_url="https://ec2"),
        ReadTimeoutError(endpoint_url="https://ec2"),
    ],
    ids=["F01", "F03", "F02", "F02-html", "F20", "F05"],
)
def test_passing_trouble_is_tried_again(clients: Clients, wire: Wire, trouble: Reply) -> None:
    """F01 F02 F03 F05 F20: one bad answer does not spoil a read, three in a row do, and then it says why."""
    wire.script["DescribeVpcs"] = [trouble, vpcs("vpc-1")]
    assert ids(run([VPCS], clients)[VPCS]) == ["vpc-1"]
    wire.script["DescribeVpcs"] = [trouble]
    before = clients.calls
    answer = run([VPCS], clients)[VPCS]
    assert isinstance(answer, Failed)
    assert answer.reason.startswith("ec2:DescribeVpcs for *: ")
    assert clients.calls - before == 3


@pytest.mark.parametrize("code", ["AccessDenied", "UnauthorizedOperation", "ExpiredToken"])
def test_a_refusal_is_final_and_proves_nothing(clients: Clients, wire: Wire, code: str) -> None:
    """F10 F11: denied or expired is a failed read at once, with AWS's code and words."""
    wire.script["DescribeVpcs"] = [refusal(403, code, "not you")]
    assert run([ONE], clients) == {ONE: Failed(f"ec2:DescribeVpcs for vpc-1: {code}: not you")}
    assert clients.calls == 1


def test_not_found_is_missing_only_where_the_read_says_so(clients: Clients, wire: Wire) -> None:
    """F09: the code for this thing's absence is proof; the same code for a read that does not expect it is not."""
    wire.script["DescribeVpcs"] = [refusal(400, "InvalidVpcID.NotFound", "no such")]
    answers = run([ONE, VPCS], clients)
    assert answers[ONE] == Missing("ec2:DescribeVpcs for vpc-1: InvalidVpcID.NotFound: no such")
    assert isinstance(answers[VPCS], Failed)


def test_a_server_fault_never_proves_absence(clients: Clients, wire: Wire) -> None:
    """I06: a code of absence with a status of AWS's own fault is a failed read."""
    wire.script["DescribeVpcs"] = [refusal(500, "InvalidVpcID.NotFound")]
    assert isinstance(run([ONE], clients)[ONE], Failed)


def test_one_bad_page_spoils_the_listing(clients: Clients, wire: Wire) -> None:
    """F06 I06: half a listing is no listing, whatever its first page held."""
    wire.script["DescribeVpcs"] = [vpcs("vpc-1", token="t"), refusal(403, "AccessDenied")]
    assert isinstance(run([VPCS], clients)[VPCS], Failed)


def test_a_repeated_token_spoils_the_listing(clients: Clients, wire: Wire) -> None:
    """F07: pages that go round in a circle end in a failed read, not in an endless one."""
    wire.script["DescribeVpcs"] = [vpcs("vpc-1", token="t")]
    answer = run([VPCS], clients)[VPCS]
    assert isinstance(answer, Failed)
    assert "twice" in answer.reason


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not xml",
        "<html><body>hello</body></html>",
        "<DescribeVpcsResponse/>",
        "<DescribeVpcsResponse><vpcSet><item><isDefault",
    ],
)
def test_a_malformed_body_is_a_failed_read(clients: Clients, wire: Wire, body: str) -> None:
    """F16: whatever stands in a 200 answer that is not the list asked for, it is not an empty list."""
    wire.script["DescribeVpcs"] = [(200, body)]
    answer = run([VPCS], clients)[VPCS]
    assert isinstance(answer, Failed), answer


def test_a_malformed_value_is_a_failed_read(clients: Clients, wire: Wire) -> None:
    """F16: a number that is none fails the read it stands in, and no other."""
    read = Read("ec2", "describe_subnets", "Subnets")
    item = "<item><availableIpAddressCount>many</availableIpAddressCount></item>"
    wire.script["DescribeSubnets"] = [(200, f"<R><subnetSet>{item}</subnetSet></R>")]
    wire.script["DescribeVpcs"] = [vpcs("vpc-1")]
    answers = run([read, VPCS], clients)
    assert isinstance(answers[read], Failed)
    assert ids(answers[VPCS]) == ["vpc-1"]


def test_what_is_not_asked_in_time_is_a_failed_read(clients: Clients) -> None:
    """A read whose time is over is not made, and says so."""
    answer = run([VPCS], clients, deadline_seconds=0)[VPCS]
    assert isinstance(answer, Failed)
    assert "out of time" in answer.reason
    assert clients.calls == 0


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (Read("ec2", "describe_vpcs", "Vpcs", (("Nonsense", 1),)), ParamValidationError),
        (Read("ec2", "describe_nonsense", "Vpcs"), KeyError),
    ],
)
def test_a_read_the_api_does_not_have_is_a_bug(clients: Clients, read: Read, error: type[Exception]) -> None:
    """A programming error is raised, never taken for a failed read."""
    with pytest.raises(error):
        run([read], clients)


def test_an_id_that_cannot_be_sent_costs_its_own_read_only(clients: Clients, wire: Wire) -> None:
    """I06 F45: half a character in one id leaves all other reads their answers; the reason can be shown."""
    wire.script["DescribeVpcs"] = [vpcs("vpc-1")]
    half = Read("ec2", "describe_vpcs", "Vpcs", (("VpcIds", ("\ud800",)),), target="\ud800")
    answers = run([half, VPCS], clients)
    assert answers[half] == Failed(r"ec2:DescribeVpcs for '\ud800': UnicodeEncodeError")
    assert ids(answers[VPCS]) == ["vpc-1"]


def test_the_right_account_is_let_in(clients: Clients, wire: Wire) -> None:
    """I10: credentials of the declared account pass."""
    wire.script["GetCallerIdentity"] = [identity(ACCOUNT)]
    clients.verify_account()
    assert [sent["Action"] for sent in wire.sent] == ["GetCallerIdentity"]


def test_another_account_is_refused(clients: Clients, wire: Wire) -> None:
    """I10 B36: credentials of another account stop everything."""
    wire.script["GetCallerIdentity"] = [identity("999999999999")]
    with pytest.raises(WrongAccount, match="999999999999"):
        clients.verify_account()


@pytest.mark.parametrize("reply", [refusal(403, "InvalidClientTokenId"), refusal(500, "InternalFailure"), (200, "x")])
def test_an_unknown_account_is_refused(clients: Clients, wire: Wire, reply: Reply) -> None:
    """I10: if STS does not say whose credentials these are, nothing goes on."""
    wire.script["GetCallerIdentity"] = [reply]
    with pytest.raises(AccountUnverified):
        clients.verify_account()


def _expired(**changes: str) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(minutes=1)
    return {"access_key": "AKID", "secret_key": "hunter2", "token": "hunter2", "expiry_time": at.isoformat(), **changes}


def _unreadable() -> dict[str, str]:
    raise FileNotFoundError(2, "No such file or directory", "/var/run/token")


def _gone() -> dict[str, str]:
    raise ClientError({"Error": {"Code": "InvalidVpcID.NotFound", "Message": "no such role"}}, "GetRoleCredentials")


def _quoting() -> dict[str, str]:
    return _expired(expiry_time="hunter2")


@pytest.mark.parametrize(
    ("refresh", "words"),
    [
        (_expired, "RuntimeError: Credentials were refreshed, but the refreshed credentials are still expired."),
        (_unreadable, "FileNotFoundError: [Errno 2] No such file or directory: '/var/run/token'"),
        (_gone, "ClientError: An error occurred (InvalidVpcID.NotFound) when calling the GetRoleCredentials"),
        (_quoting, "ParserError"),
    ],
)
def test_credentials_that_cannot_be_had_are_no_answer(refresh: Callable[[], dict[str, str]], words: str) -> None:
    """F11 I10: however the provider fails, reads fail with its words, nothing is absent, and no secret is told."""
    core = botocore.session.Session()
    kept: Any = core
    kept._credentials = RefreshableCredentials.create_from_metadata(_expired(), refresh, "some-provider")
    clients = Clients(REGION, ACCOUNT, session=core)
    said = f"CredentialRetrievalError: Error when retrieving credentials from some-provider: {words}"
    with pytest.raises(AccountUnverified) as unverified:
        clients.verify_account()
    answer = run([ONE], clients)[ONE]
    assert isinstance(answer, Failed)
    for told in (str(unverified.value), answer.reason):
        assert said in told
        assert "hunter2" not in told
    assert clients.calls == 2  # none was tried again
    with pytest.raises(CredentialRetrievalError):
        clients.client("ec2").describe_vpcs()


@pytest.mark.parametrize("command", ["/bin/echo hunter2", "/no/such/helper"])
def test_a_helper_that_gives_no_credentials_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """F11 I10: a ``credential_process`` that prints text, or does not exist, fails the reads and stops a queue."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    clients = Clients(REGION, ACCOUNT)
    with pytest.raises(AccountUnverified, match="CredentialRetrievalError") as unverified:
        clients.verify_account()
    answer = run([VPCS], clients)[VPCS]
    assert isinstance(answer, Failed)
    assert "hunter2" not in f"{unverified.value} {answer.reason}"
    with pytest.raises(ConfigurationError, match="no credentials for the event queue"):
        queue_client("https://sqs.eu-central-1.amazonaws.com/123456789012/q", REGION)


def test_reads_go_on_with_the_threads_that_there_are(
    clients: Clients, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system allows two threads only, these make all reads; where it allows none, that is raised."""
    wire.script["DescribeVpcs"] = [vpcs("vpc-1")]
    reads = [Read("ec2", "describe_vpcs", "Vpcs", (("VpcIds", (f"vpc-{i}",)),)) for i in range(8)]
    start, left = threading.Thread.start, [None, None]

    def starting(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    assert [ids(answer) for answer in run(reads, clients).values()] == [["vpc-1"]] * 8
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run(reads, clients)


def test_the_limiter_yields_to_throttling(clients: Clients, wire: Wire) -> None:
    """F01: each throttled call halves how many calls to that service may be under way at once."""
    wire.script["DescribeVpcs"] = [refusal(400, "Throttling")]
    limiter = clients.limiter("ec2")
    start = limiter.allowed
    run([VPCS], clients)
    assert limiter.allowed == start // 8
    assert limiter.rate.limit is not None


def test_the_limiter_recovers() -> None:
    """Good answers win back what throttling took, and no more than that."""
    limiter = Limiter(16)
    limiter._leave(borne=False)
    for _ in range(16 * 16):
        limiter._leave(borne=True)
    assert limiter.allowed == 16


def test_the_limiter_never_closes() -> None:
    """However often AWS throttles, one call at a time remains allowed."""
    limiter = Limiter(2)
    for _ in range(5):
        limiter._leave(borne=False)
    assert limiter.allowed == 1


frozen: Callable[[Any], Any] = lambda v: tuple(map(frozen, v)) if isinstance(v, list) else v  # noqa: E731


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_lists_survive_being_frozen(value: Any) -> None:
    """Parameters come back as the lists they were, unless they are pairs of a name and a value."""
    if "pair" not in _shapes(value):
        assert thaw(frozen(value)) == value


def _shapes(value: Any) -> set[str]:
    if not isinstance(value, list):
        return set()
    pairs = value and all(isinstance(v, list) and len(v) == 2 and isinstance(v[0], str) for v in value)
    return ({"pair"} if pairs else set()).union(*(_shapes(v) for v in value))


def test_structures_are_pairs() -> None:
    """A filter is written as a list of structures and arrives as AWS wants it."""
    assert thaw(((("Name", "a"), ("Values", ("x", "y"))),)) == [{"Name": "a", "Values": ["x", "y"]}]
