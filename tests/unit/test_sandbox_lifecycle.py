"""A sandbox comes up, stays apart from others, and leaves nothing behind; none of this needs the engine."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconciler.errors import StackmendError
from sandbox.__main__ import app, main
from sandbox.faults.registry import FAULTS
from sandbox.lifecycle import MARK, REPOSITORY, Sandbox, SandboxError
from tests.unit.sandbox_worlds import client, running


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("lifecycle") / "home") as sandbox:
        yield sandbox


def test_the_environment_leads_everything_into_the_sandbox(sandbox: Sandbox) -> None:
    """The variables name the endpoint, the state, the store and the programs of this sandbox, and dummy credentials."""
    environment = sandbox.environment()
    assert environment["AWS_ENDPOINT_URL"] == sandbox.url
    assert environment["PULUMI_BACKEND_URL"] == f"file://{sandbox.home}/dev/state"
    assert environment["STACKMEND_CONFIG_FILE"] == f"{sandbox.home}/dev/Pulumi.dev.yaml"
    assert environment["STACKMEND_PROJECT_DIR"] == f"{sandbox.home}/dev"
    assert environment["STACKMEND_STORE_URL"] == f"sqlite:///{sandbox.home}/dev/stackmend.db"
    assert environment["PATH"].startswith(f"{REPOSITORY}/sandbox/bin:{REPOSITORY}/.toolchain/bin:")
    assert environment["AWS_SECRET_ACCESS_KEY"] == "sandbox"


def test_starting_twice_starts_one_server(sandbox: Sandbox) -> None:
    """A second start, from another process's point of view too, finds the server that runs."""
    again = Sandbox("dev", home=sandbox.home)
    before = sandbox.control.health()
    assert again.start() == sandbox.url
    assert again.control.health() == before


def test_sandboxes_side_by_side_do_not_share_anything(sandbox: Sandbox, tmp_path: Path) -> None:
    """Two homes have two servers and two worlds."""
    with running(tmp_path / "other") as other:
        assert other.url != sandbox.url
        client(other, "s3").create_bucket(Bucket="only-there")
        assert client(sandbox, "s3").list_buckets()["Buckets"] == []


def test_down_leaves_nothing(tmp_path: Path) -> None:
    """The server is gone, the home is gone, and going down once more is no error."""
    with running(tmp_path / "home") as sandbox:
        pid = sandbox.control.health()
        sandbox.down()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not sandbox.home.exists()
        sandbox.down()


def test_a_dead_server_takes_its_world_with_it(tmp_path: Path) -> None:
    """F24: the world was in the server's memory, so a new start throws the state of the old one away."""
    with running(tmp_path / "home") as sandbox:
        (sandbox.cell_directory / "state").mkdir(parents=True)
        pid = sandbox.control.health()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        again = Sandbox("dev", home=sandbox.home)
        with pytest.raises(SandboxError, match="no sandbox runs here"):
            _ = again.url
        again.start()
        try:
            assert not again.cell_directory.exists()
        finally:
            again.down()


def test_a_folder_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    """A home that points at a folder with other contents is refused, by up and by down."""
    precious = tmp_path / "thesis.txt"
    precious.write_text("chapter 1")
    sandbox = Sandbox("dev", home=tmp_path)
    for action in (sandbox.start, sandbox.down):
        with pytest.raises(SandboxError, match="holds something else"):
            action()
    assert precious.read_text() == "chapter 1"
    assert not (tmp_path / MARK).exists()


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the log file and holds its last line."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(SandboxError, match="did not start") as caught:
        Sandbox("dev", home=tmp_path / "home").start()
    assert "server.log" in str(caught.value)
    assert "said nothing" in str(caught.value)


def test_nothing_can_be_broken_before_it_is_deployed(sandbox: Sandbox) -> None:
    """Faults without tenants, and unknown faults, are refused in words."""
    with pytest.raises(SandboxError, match="no tenants are deployed"):
        sandbox.break_("open-ssh")
    with pytest.raises(StackmendError, match="no fault called"):
        sandbox.break_("open-ssl")


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The command line works in the test's sandbox."""
    monkeypatch.setenv("STACKMEND_SANDBOX_HOME", str(sandbox.home))
    return sandbox


def test_env_prints_lines_for_a_shell(here: Sandbox) -> None:
    """Each line exports one variable, quoted."""
    result = CliRunner().invoke(app, ["env"])
    exports = dict(shlex.split(line)[1].split("=", 1) for line in result.output.splitlines())
    assert exports == here.environment()


def test_status_says_what_runs(here: Sandbox) -> None:
    """The endpoint, and that nothing is deployed."""
    output = CliRunner().invoke(app, ["status"]).output
    assert here.url in output
    assert "cell    dev is not deployed" in output


def test_break_lists_the_faults() -> None:
    """Every fault is listed, with who does such a thing."""
    output = CliRunner().invoke(app, ["break", "--list"], env={"COLUMNS": "200"}).output
    assert all(name in output for name in FAULTS)


def test_an_error_is_one_paragraph_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What went wrong, where, and what to do; exit status 1."""
    monkeypatch.setenv("STACKMEND_SANDBOX_HOME", str(tmp_path / "none"))
    monkeypatch.setattr("sys.argv", ["sandbox", "status"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 1
    assert capsys.readouterr().err == (
        f"sandbox: {tmp_path}/none: no sandbox runs here\n  start one: python -m sandbox up\n"
    )
