"""The one database of the record: opening it, its transactions, and its failures in words.

A write transaction excludes every other one, on SQLite by ``BEGIN IMMEDIATE`` and elsewhere by a row lock, so what is
checked in it still holds when it commits. A transaction that fails leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from reconciler.errors import StoreError
from reconciler.record import schema
from reconciler.record.clock import Clock, text

BUSY_SECONDS = 10.0
_WRITES = "stackmend_writes"

_REMEDIES = (
    ("disk is full", "There is no space left for the record.", "Free space; nothing was half written."),
    (
        "readonly database",
        "The store cannot be written.",
        "Make it and its folder writable, or name another store_url.",
    ),
    ("database is locked", "Another process kept the store busy too long.", "Try again when it is done."),
    ("unable to open", "The file cannot be opened.", "Check that its folder exists and is writable."),
    ("disk i/o error", "The disk failed.", "Check the disk; the last committed state is kept."),
    ("malformed", "The file is damaged.", "Keep it as evidence and restore a copy; check the copy's ledger."),
    ("not a database", "The file is something else.", "Name another store_url."),
)


class Database:
    """An open store, as a database. Threads may share it; every transaction is its own connection."""

    def __init__(self, engine: Engine, clock: Clock, key: Path) -> None:
        self.clock, self.key = clock, key
        """``key`` is where the ledger's signing key is or will be."""
        self._engine = engine
        self.where = engine.url.render_as_string(hide_password=True)

    @classmethod
    def open(cls, url: str, *, clock: Clock | None = None, key: Path | None = None) -> Self:
        """Open the store, and create its tables if it has none.

        ``url`` is an SQLAlchemy URL. ``key`` is the checkpoint key's path, by default beside an SQLite file. Raises
        StoreError if the store cannot be used or was written by a later version of this program.
        """
        try:
            parsed = make_url(url)
            engine = _engine(parsed)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise StoreError(
                f"store_url cannot be used: {type(error).__name__}",
                where=_shown(url),
                todo="It looks like sqlite:///path or postgresql+psycopg://host/name; its driver has to be installed.",
            ) from error
        beside = (
            Path(f"{parsed.database}.key") if parsed.get_backend_name() == "sqlite" else Path(".stackmend/ledger.key")
        )
        store = cls(engine, clock or Clock(), key or beside)
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view. Raises StoreError."""
        with self._failing_clearly("read"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: alone, durable once the block is left, undone if it raises. Raises StoreError."""
        with (
            self._failing_clearly("written"),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            if connection.dialect.name != "sqlite":
                connection.execute(select(schema.META.c.id).with_for_update())
            yield connection

    def _prepare(self) -> None:
        with (
            self._failing_clearly("opened"),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            if not inspect(connection).has_table(schema.META.name):
                schema.METADATA.create_all(connection)
                created = text(self.clock.now())
                connection.execute(insert(schema.META).values(id=1, version=schema.VERSION, created=created))
            version = connection.execute(select(schema.META.c.version)).scalar()
            if version is not None and schema.OLDEST <= version < schema.VERSION:
                schema.METADATA.create_all(connection)
                _number_runs(connection)
                connection.execute(update(schema.META).values(version=schema.VERSION))
                version = schema.VERSION
        if version != schema.VERSION:
            raise StoreError(
                f"the store has schema version {version}, this program knows {schema.VERSION}",
                where=self.where,
                why="It was written by another version of stackmend." if version else "It holds no schema version.",
                todo="Use the version that wrote it, or name another store_url.",
            )

    @contextmanager
    def _failing_clearly(self, what: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            # A document or a moment in it is none.
            raise StoreError(
                f"could not be {what}: it holds something that cannot be understood: {error}",
                where=self.where,
                why="It was damaged, or something else wrote to it.",
                todo="Keep it as evidence and restore a copy; `stackmend ledger verify` checks the ledger.",
            ) from error
        except SQLAlchemyError as error:
            # The driver's own words only: SQLAlchemy's hold the statement and its parameters.
            words = str(getattr(error, "orig", None) or type(error).__name__)
            for sign, why, todo in _REMEDIES:
                if sign in words.lower():
                    raise StoreError(f"could not be {what}: {words}", where=self.where, why=why, todo=todo) from error
            raise StoreError(f"could not be {what}: {words}", where=self.where) from error


def _number_runs(connection: Connection) -> None:
    """Number the runs that an earlier version has recorded, in the order that their clocks say."""
    runs, numbers = schema.RUNS, schema.RUN_NUMBERS
    bare = select(runs.c.run_id).where(runs.c.run_id.not_in(select(numbers.c.run_id)))
    connection.execute(insert(numbers).from_select(["run_id"], bare.order_by(runs.c.started, runs.c.run_id)))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database in (None, "", ":memory:"):
        raise StoreError("a store in memory is no record", where=str(url), todo="Name a file: sqlite:///path.")
    folder = Path(str(url.database).removeprefix("file:")).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"its folder cannot be made: {error.strerror}",
            where=str(url),
            todo="Name another store_url, or a folder that exists and is writable.",
        ) from error
    engine = create_engine(url)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    # A damaged text must still be readable, for the ledger to say which entry is damaged.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _shown(url: str) -> str:
    """What may be shown of a URL that could not be parsed: not what could be its password."""
    return url.split("://", 1)[0] + "://…" if "://" in url else "store_url"
