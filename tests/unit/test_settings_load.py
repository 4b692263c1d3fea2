"""Settings: what is not allowed is refused with the file, the key, the value and what is allowed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reconciler.errors import ConfigurationError
from reconciler.settings import Amount, Settings, load
from reconciler.wiring import accepted_exceptions, probe_target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, and no setting in the environment."""
    for name in list(os.environ):
        if name.startswith("STACKMEND_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(folder: Path, content: str | bytes) -> str:
    """The error that a settings file with this content gives."""
    (folder / "stackmend.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError) as caught:
        load()
    return str(caught.value)


def test_one_setting_is_enough(folder: Path) -> None:
    """Only the cell must be named; everything else has a safe default."""
    (folder / "stackmend.toml").write_text('cell = "prod-eu-1"\n')
    loaded = load()
    assert loaded.store_url == "sqlite:///.stackmend/prod-eu-1.db"
    assert (loaded.budget.overall, loaded.budget.tenant) == (Amount(share=0.2), Amount(share=0.2))
    assert (loaded.breaker.share, loaded.breaker.minimum) == (0.2, 5)
    assert (loaded.flap.limit, loaded.flap.window_seconds) == (3, 3600)
    assert (loaded.account, loaded.region, loaded.config_file) == (None, None, None)


def test_everything_can_be_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is read, counts and percentages alike, and relative paths are beside the file."""
    (folder / "sub").mkdir()
    (folder / "sub" / "s.toml").write_text(
        """
        cell = "dev"
        project_dir = ".."
        exceptions_file = "accepted.yaml"
        account = "123456789012"
        region = "us-gov-west-1"
        store_url = "postgresql+psycopg://u:p@h/d"
        lease_seconds = 30
        [budget]
        global = "12.5%"
        tenant = 3
        [breaker]
        share = "30%"
        fleet_share = 0.6
        [flap]
        limit = 5
        same_failure_limit = 5
        [verify]
        timeout_seconds = 90.5
        [rollout]
        bake_seconds = 0
        floor_percent = { gold = 100, bronze = 0 }
        """
    )
    monkeypatch.setenv("STACKMEND_SETTINGS", "sub/s.toml")
    loaded = load()
    assert loaded.project_dir == Path("sub/..")
    assert loaded.exceptions_file == Path("sub/accepted.yaml")
    assert (loaded.budget.overall, loaded.budget.tenant) == (Amount(share=0.125), Amount(count=3))
    assert (loaded.breaker.share, loaded.breaker.fleet_share, loaded.breaker.minimum) == (0.3, 0.6, 5)
    assert loaded.rollout.floor_percent == {"gold": 100, "bronze": 0}
    assert loaded.verify.timeout_seconds == 90.5


def test_the_command_line_outranks_the_environment_outranks_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each level overrides single values of the level below, inside tables too."""
    (folder / "stackmend.toml").write_text(
        'cell = "file"\nregion = "eu-west-1"\nconcurrency = 1\n[budget]\nglobal = 1\ntenant = 1\n'
    )
    monkeypatch.setenv("STACKMEND_CELL", "environment")
    monkeypatch.setenv("STACKMEND_CONCURRENCY", "2")
    monkeypatch.setenv("STACKMEND_BUDGET__GLOBAL", "50%")
    loaded = load(cell="line", region=None)
    assert (loaded.cell, loaded.concurrency, loaded.region) == ("line", 2, "eu-west-1")
    assert (loaded.budget.overall, loaded.budget.tenant) == (Amount(share=0.5), Amount(count=1))
    assert loaded.store_url == "sqlite:///.stackmend/line.db"


def test_settings_cannot_be_changed(folder: Path) -> None:
    """Settings are frozen, tables too, so no stage can loosen another's limits."""
    loaded = load(cell="dev")
    with pytest.raises(ValidationError):
        loaded.concurrency = 99
    with pytest.raises(ValidationError):
        loaded.breaker.share = 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", ["cell is not set", "STACKMEND_CELL"], id="B01 empty"),
        pytest.param("cell: dev\n", ["not TOML", "line 1"], id="B02 not TOML"),
        pytest.param('cell = "a"\ncell = "b"\n', ["not TOML"], id="B04 duplicate key"),
        pytest.param('cell = "a\0b"\n', ["not TOML"], id="B07 NUL"),
        pytest.param(b'cell = "dev"\nregion = "\xff"\n', ["not UTF-8", "line 2", "0xff"], id="B09 invalid UTF-8"),
        pytest.param('cell = "dev"\nbudgte = 1\n', ["budgte is not a setting", "budget"], id="B10 unknown key"),
        pytest.param(
            'cell = "dev"\n[budget]\nglobl = 1\n',
            ["budget.globl", "global, hour, kind"],
            id="B10 unknown key in a table",
        ),
        pytest.param('cell = "dev"\nconcurrency = "many"\n', ["concurrency = 'many'", "integer"], id="B11 text"),
        pytest.param('cell = "dev"\nconcurrency = [1]\n', ["concurrency = [1]"], id="B11 list"),
        pytest.param('cell = "dev"\nconcurrency = true\n', ["concurrency = True", "not true or false"], id="B11 bool"),
        pytest.param('cell = "dev"\nbudget = 5\n', ["budget = 5"], id="B11 no table"),
        pytest.param('cell = "dev"\naccount = 123456789012\n', ["account = 123456789012", "string"], id="B11 number"),
        pytest.param('cell = "dev"\n[breaker]\nshare = "yes"\n', ["breaker.share = 'yes'"], id="B12 yes"),
        pytest.param('cell = "dev"\nlease_seconds = nan\n', ["lease_seconds = nan", "finite"], id="B13 NaN"),
        pytest.param('cell = "dev"\n[breaker]\nshare = nan\n', ["breaker.share = nan", "finite"], id="B13 NaN share"),
        pytest.param('cell = "dev"\n[budget]\nglobal = nan\n', ["budget.global = nan", "whole number"], id="B13 count"),
        pytest.param('cell = "dev"\n[budget]\ntenant = -1\n', ["budget.tenant = -1", "from 1"], id="B14 budget"),
        pytest.param('cell = "dev"\nlease_seconds = -1\n', ["lease_seconds = -1", "equal to 5"], id="B14 seconds"),
        pytest.param('cell = "dev"\n[budget]\nglobal = 0\n', ["budget.global = 0", "from 1"], id="B15 budget"),
        pytest.param('cell = "dev"\n[budget]\nglobal = "0%"\n', ["'0%'", "above 0 %"], id="B15 percentage"),
        pytest.param('cell = "dev"\n[breaker]\nshare = 0\n', ["breaker.share = 0", "greater than 0"], id="B15 share"),
        pytest.param('cell = "dev"\n[budget]\nglobal = "101%"\n', ["'101%'", "up to 100 %"], id="B16 budget"),
        pytest.param('cell = "dev"\n[breaker]\nshare = "101 %"\n', ["breaker.share", "equal to 1"], id="B16 share"),
        pytest.param(
            'cell = "dev"\n[rollout.floor_percent]\ngold = 101\n',
            ["rollout.floor_percent.gold = 101", "equal to 100"],
            id="B16 floor",
        ),
        pytest.param('cell = "dev"\nconcurrency = 1e308\n', ["concurrency = 1e+308"], id="B17 count"),
        pytest.param('cell = "dev"\nlease_seconds = 1e308\n', ["lease_seconds = 1e+308", "3600"], id="B17 seconds"),
        pytest.param(
            'cell = "dev"\n[verify]\ntimeout_seconds = 5\npoll_seconds = 6\n',
            ["poll_seconds must not exceed timeout_seconds, which is 5"],
            id="B18 poll over time-out",
        ),
        pytest.param(
            'cell = "dev"\n[flap]\nlimit = 1\nsame_failure_limit = 2\n',
            ["same_failure_limit must not exceed limit, which is 1"],
            id="B18 failures over limit",
        ),
        pytest.param('cell = "dev"\ninterval_seconds = 0\n', ["interval_seconds = 0", "equal to 1"], id="B27 interval"),
        pytest.param(f"cell = {'1' * 5000}\n", ["not TOML", "digits"], id="very many digits"),
        pytest.param(
            f'cell = "dev"\nconcurrency = 0x{"f" * 5000}\n',
            ["concurrency = a number that is too long to show"],
            id="very many hex digits",
        ),
        pytest.param(f"cell = {'[' * 5000}\n", ["nested too deeply"], id="nested"),
        pytest.param('cell = "../dev"\n', ["cell = '../dev'"], id="B29 path"),
        pytest.param('cell = "a; rm -rf"\n', ["cell = 'a; rm -rf'"], id="B30 shell"),
        pytest.param(f'cell = "{"a" * 256}"\n', ["cell = 'aaa"], id="B32 long"),
        pytest.param('cell = "dev"\nregion = "Frankfurt"\n', ["region = 'Frankfurt'"], id="region"),
        pytest.param('cell = "dev"\naccount = "12345"\n', ["account = '12345'"], id="account"),
    ],
)
def test_bad_input_is_named(folder: Path, content: str | bytes, words: list[str]) -> None:
    """Each bad setting is refused with the file, the key, the value and what is allowed."""
    message = refused(folder, content)
    assert "stackmend.toml" in message
    assert [word for word in words if word not in message] == []


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    """Several wrong settings are one error that names them all."""
    message = refused(folder, 'cell = "dev"\nconcurrency = 0\nlease_seconds = 1\nwhat = 1\n')
    assert [key for key in ("concurrency = 0", "lease_seconds = 1", "what is not") if key not in message] == []


def test_a_wrong_variable_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the environment is blamed on the variable, one on the command line on that, not on the file."""
    (folder / "stackmend.toml").write_text('cell = "dev"\n')
    monkeypatch.setenv("STACKMEND_VERIFY__POLL_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match=r"STACKMEND_VERIFY__POLL_SECONDS: verify\.poll_seconds = 'soon'"):
        load()
    monkeypatch.delenv("STACKMEND_VERIFY__POLL_SECONDS")
    with pytest.raises(ConfigurationError, match="command line: region = 'x'"):
        load(region="x")


@pytest.mark.parametrize("value", ["{", "[" * 100_000, f'{{"repairs": {"1" * 5000}}}'], ids=["half", "deep", "digits"])
def test_a_variable_that_is_no_json_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A whole table in a variable must be JSON that ends; what is not is an error, not a traceback."""
    monkeypatch.setenv("STACKMEND_BUDGET", value)
    with pytest.raises(ConfigurationError, match="environment"):
        load(cell="dev")


def test_a_named_file_must_be_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file that was asked for and is missing is an error: its limits are not silently left out."""
    monkeypatch.setenv("STACKMEND_SETTINGS", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: cannot be read"):
        load(cell="dev")


def test_a_huge_file_is_not_read(folder: Path) -> None:
    """B06: a file far larger than any settings is refused by its size."""
    assert "allowed are 1000000" in refused(folder, b"#" * 1_000_001)


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    """B08: a file saved with a byte order mark means the same."""
    (folder / "stackmend.toml").write_bytes(b'\xef\xbb\xbfcell = "dev"\n')
    assert load().cell == "dev"


def test_a_password_in_the_store_url_is_not_shown(folder: Path) -> None:
    """I13: the store's URL is neither in the settings' text nor in an error about it."""
    (folder / "stackmend.toml").write_text('cell = "dev"\nstore_url = "postgresql://u:hunter2@h/d"\n')
    assert "hunter2" not in repr(load())
    assert "hunter2" not in refused(folder, 'cell = "dev"\nstore_url = ["postgresql://u:hunter2@h/d"]\n')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.integers(), st.floats(), st.text(max_size=8), st.integers(-10, 200).map(lambda n: f"{n}%")))
def test_a_budget_is_never_zero_nor_everything_by_mistake(folder: Path, given_value: object) -> None:
    """Whatever is written as a budget: it is refused, or it is at least one thing or a share above 0 and up to 1."""
    try:
        amount = Settings.model_validate({"cell": "dev", "budget": {"global": given_value}}).budget.overall
    except ValidationError:
        return
    assert (amount.count is None) is (amount.share is not None)
    assert amount.count is None or amount.count >= 1
    assert amount.share is None or 0 < amount.share <= 1


def test_every_setting_is_documented() -> None:
    """The documentation has a row for each setting, so that none is added without saying what it does."""
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    models: list[type[BaseModel]] = [Settings]
    for model in models:
        for name, info in model.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                models.append(info.annotation)
                assert f"`[{name}]`" in text
            elif get_origin(info.annotation) is tuple and issubclass(get_args(info.annotation)[0], BaseModel):
                models.append(get_args(info.annotation)[0])
                assert f"`[[{name}]]`" in text
            elif get_origin(info.annotation) is tuple:
                assert f"| `{name}` |" in text
            else:
                assert f"| `{info.validation_alias or name}` |" in text


def test_rows_of_the_strategy_table(folder: Path) -> None:
    """Rows come from the file in their order, with what they leave out covering everything; a tier must exist."""
    head = 'cell = "dev"\n[[strategies]]\nstrategy = "escalate"\n'
    (folder / "stackmend.toml").write_text(head + 'type = "aws:ec2/*"\ntier = "gold"\n')
    (row,) = load().strategies
    assert (row.strategy, row.type, row.kind, row.tier) == ("escalate", "aws:ec2/*", "*", "gold")
    assert "strategies.0" in (said := refused(folder, head + 'tier = "platinum"\n'))
    assert "platinum" in said


@pytest.mark.parametrize("arn", ["arn:aws:iam::123456789012:role/all", "role/{tenant}", "arn:aws:iam::1:role/{tenant}"])
def test_a_role_is_one_tenants(folder: Path, arn: str) -> None:
    """A pattern of roles without the tenant in it would give every session the same rights."""
    assert "role_arn_pattern" in refused(folder, f'cell = "dev"\n[sessions]\nrole_arn_pattern = "{arn}"\n')


MODE = 'cell = "dev"\n[[modes]]\nmode = "observe"\n'
WINDOW = 'cell = "dev"\n[[windows]]\ntenant = "*"\ndays = ["mon"]\nend = "04:00"\n'
FREEZE = 'cell = "dev"\n[[freezes]]\ntenant = "*"\nreason = "sale"\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(MODE, ["modes.0", "selects nothing", "tenant = '*' is all"], id="B20 no selector"),
        pytest.param(MODE + 'tenant = ""\n', ["modes.0.tenant = ''", "'*' is everything"], id="B20 empty selector"),
        pytest.param(MODE + 'tenant = "[a-z]+("\n', ["modes.0.tenant", "allowed are"], id="B23 an expression"),
        pytest.param(MODE + 'tenat = "a"\n', ["modes.0.tenat is not a setting", "tenant, tier"], id="B10 selector"),
        pytest.param(MODE + 'tier = "golden"\n', ["modes.0.tier = 'golden'", "gold, silver"], id="B22 tier"),
        pytest.param(MODE + 'kind = "drfit"\n', ["modes.0.kind = 'drfit'", "drift, health"], id="B22 kind"),
        pytest.param(MODE.replace("observe", "auto") + 'tenant = "*"\n', ["modes.0.mode = 'auto'"], id="B11 mode"),
        pytest.param('cell = "dev"\n[modes]\ntenant = "*"\n', ["modes = {"], id="B11 a table for a list"),
        pytest.param(
            WINDOW + 'start = "0 22 * * *"\nzone = "UTC"\n',
            ["windows.0.start = '0 22 * * *'", "'22:30'"],
            id="B25 cron",
        ),
        pytest.param(WINDOW + 'start = "25:00"\nzone = "UTC"\n', ["windows.0.start = '25:00'"], id="B25 hour"),
        pytest.param(WINDOW + 'start = "04:00"\nzone = "UTC"\n', ["end must differ from start"], id="B15 no length"),
        pytest.param(
            WINDOW + 'start = "22:00"\nzone = "Europe/Berlln"\n',
            ["windows.0.zone = 'Europe/Berlln'", "IANA time zone"],
            id="B26 zone",
        ),
        pytest.param(
            WINDOW + 'start = "22:00"\nzone = "../../etc/passwd"\n', ["windows.0.zone", "IANA"], id="B29 zone by path"
        ),
        pytest.param(
            WINDOW.replace("mon", "monday") + 'start = "22:00"\nzone = "UTC"\n',
            ["windows.0.days = ['monday']", "mon, tue"],
            id="B25 day",
        ),
        pytest.param(
            WINDOW.replace('["mon"]', "[]") + 'start = "22:00"\nzone = "UTC"\n',
            ["windows.0.days = []"],
            id="B20 no days",
        ),
        pytest.param(
            FREEZE + "start = 2026-12-20T00:00:00\nend = 2026-12-27T00:00:00Z\n",
            ["freezes.0.start", "with its offset"],
            id="B26 no offset",
        ),
        pytest.param(
            FREEZE + "start = 2026-12-27T00:00:00Z\nend = 2026-12-20T00:00:00Z\n",
            ["end must be after start"],
            id="B18 ends before it starts",
        ),
        pytest.param(
            'cell = "dev"\n[retry]\nbackoff_seconds = 10\nbackoff_longest_seconds = 9\n',
            ["must not be below backoff_seconds, which is 10"],
            id="B18 longest wait",
        ),
        pytest.param('cell = "dev"\n[budget.tier]\ngold = 0\n', ["budget.tier.gold = 0"], id="B15 tier"),
        pytest.param('cell = "dev"\n[budget.kind]\nrain = 1\n', ["budget.kind.rain"], id="B10 kind"),
    ],
)
def test_a_bad_entry_is_named(folder: Path, content: str, words: list[str]) -> None:
    """Modes, windows, freezes and limits that cannot be meant stop the program and say what is allowed."""
    error = refused(folder, content)
    assert all(word in error for word in words), error


def test_entries_can_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON; a mistake there names the variable, not the file."""
    monkeypatch.setenv("STACKMEND_MODES", '[{"tenant": "acme", "mode": "propose"}]')
    assert load(cell="dev").modes[0].tenant == "acme"
    monkeypatch.setenv("STACKMEND_MODES", '[{"tenant": "acme", "mode": "maybe"}]')
    with pytest.raises(ConfigurationError, match="STACKMEND_MODES"):
        load(cell="dev")


def test_a_window_can_be_written_in_each_way(folder: Path) -> None:
    """Times as text or as TOML has them, every day as a star, and midnight as the end."""
    (folder / "stackmend.toml").write_text(
        'cell = "dev"\n[[windows]]\ntenant = "*"\ndays = ["*"]\nstart = 22:00:00\nend = "24:00"\nzone = "Asia/Tokyo"\n'
    )
    (window,) = load().windows
    assert (len(window.days), window.start, window.end, window.zone.key) == (7, "22:00", "24:00", "Asia/Tokyo")


PROBES = """
cell = "dev"
[probe]
samples = 5
ca_file = "ca.pem"
[probe.targets."acme-*"]
path = "/healthz"
[probe.targets.acme-bank]
scheme = "http"
host = "bank.example"
[probe.targets."*"]
port = 8443
"""


def test_a_tenants_own_probe_comes_before_a_pattern(folder: Path) -> None:
    """Nobody is probed by default; a name beats every pattern, and of those the first that fits counts."""
    assert probe_target(Settings(cell="dev"), "acme-bank") is None
    (folder / "stackmend.toml").write_text(PROBES)
    loaded = load()
    bank, clinic, other = (probe_target(loaded, t) for t in ("acme-bank", "acme-clinic", "globex"))
    assert bank is not None
    assert clinic is not None
    assert other is not None
    assert (bank.scheme, bank.host, bank.port, bank.path) == ("http", "bank.example", 80, "/")
    assert (clinic.port, clinic.path, clinic.samples, clinic.ca_file) == (443, "/healthz", 5, Path("ca.pem"))
    assert (other.port, other.expected, other.private) == (8443, frozenset({200}), False)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('path = "healthz"', "probe.targets.acme.path"),
        ('path = "/a b"', "probe.targets.acme.path"),
        ('host = "evil.example/x"', "probe.targets.acme.host"),
        ('host = "user@evil.example"', "probe.targets.acme.host"),
        ('server_name = "a b"', "probe.targets.acme.server_name"),
        ("port = 0", "probe.targets.acme.port"),
        ('scheme = "ftp"', "probe.targets.acme.scheme"),
        ("expected = []", "probe.targets.acme.expected"),
        ("expected = [20]", "probe.targets.acme.expected"),
        ('private = "yes"', "probe.targets.acme.private"),
        ("verify = false", "probe.targets.acme.verify"),
    ],
)
def test_a_probe_that_cannot_be_made_is_refused(folder: Path, line: str, words: str) -> None:
    """B10 B11 B12 B15 B30: the mistake is named, and TLS verification has no switch."""
    assert words in refused(folder, f'cell = "dev"\n[probe.targets.acme]\n{line}\n')


def test_a_flag_in_the_environment_is_a_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B12: ``true`` and ``false`` are understood there, and nothing else is taken for one of them."""
    monkeypatch.setenv("STACKMEND_ORPHANS__REMOVE", "true")
    assert load(cell="dev").orphans.remove is True
    for word in ("yes", "1", "True", "on"):
        monkeypatch.setenv("STACKMEND_ORPHANS__REMOVE", word)
        with pytest.raises(ConfigurationError, match=r"orphans\.remove"):
            load(cell="dev")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("- expires: 2026-02-30\n", "is not YAML", id="no such day"),
        pytest.param(f"- expires: {'1' * 5000}\n", "is not YAML", id="very many digits"),
        pytest.param("[" * 5000, "is nested too deeply", id="nested"),
        pytest.param("\0", "is not YAML", id="B07 NUL"),
        pytest.param(b"\xff", "is not YAML", id="B09 invalid UTF-8"),
    ],
)
def test_exceptions_that_cannot_be_read_are_named(folder: Path, content: str | bytes, words: str) -> None:
    """A mistake in the file of exceptions is an error with the file's name, not a traceback."""
    file = folder / "accepted.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=words) as caught:
        accepted_exceptions(Settings(cell="dev", exceptions_file=file))
    assert caught.value.where == str(file)


@pytest.mark.parametrize("name", ["nowhere.yaml", "a\0b", "."])
def test_exceptions_that_are_not_there_are_named(name: str) -> None:
    """B07: a file that is not there, or whose name no file can have, is an error: nothing is accepted silently."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        accepted_exceptions(Settings(cell="dev", exceptions_file=Path(name)))
