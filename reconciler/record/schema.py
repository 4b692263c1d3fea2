"""The tables. Moments are ISO 8601 texts in UTC and documents JSON texts, so that every database keeps them alike."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

VERSION = 6
"""Grows with every change of the tables; a store of a later version is refused."""
OLDEST = 1
"""Stores of this version and later lack nothing but tables, which are made when they are opened."""

METADATA = MetaData()

META = Table(
    "stackmend_meta",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("created", String(32), nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("cell", String(100), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32)),
    Column("summary", Text, nullable=False),
    Index("runs_by_cell", "cell", "started"),
)

RUN_NUMBERS = Table(
    "run_numbers",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("run_id", String(64), ForeignKey("runs.run_id"), nullable=False, unique=True),
)
"""The order in which runs began: clocks may be set back."""

FINDINGS = Table(
    "findings",
    METADATA,
    Column("run_id", String(64), ForeignKey("runs.run_id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("finding_id", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Index("findings_by_id", "finding_id"),
)

INTENTS = Table(
    "intents",
    METADATA,
    Column("intent", Integer, primary_key=True),
    Column("cell", String(100), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("token", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Column("repair", Text, nullable=False),
    Index("intents_by_cell", "cell", "at"),
)

OPEN = Table(
    "open_intents",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("urn", String(1024), primary_key=True),
    Column("intent", Integer, ForeignKey("intents.intent"), nullable=False),
)
"""The key is what makes two repairs of one resource at once impossible, whatever the code above it does."""

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("intent", Integer, ForeignKey("intents.intent"), primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("outcome", Text, nullable=False),
)
"""The key is what makes a second terminal record of an intent impossible."""

LEASES = Table(
    "leases",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("process", Text, nullable=False),
    Column("acquired", String(32), nullable=False),
    Column("expires", String(32), nullable=False),
)
"""A released lease has no holder; its row stays, because its token must only ever grow."""

ENGINES = Table(
    "engines",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("pid", Integer, primary_key=True, autoincrement=False),
    Column("process", Text, nullable=False),
    Column("since", String(32), nullable=False),
)
"""The engines that may hold the stack's lock: only of one that is in here can it be said that it died."""

PAUSES = Table(
    "pauses",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("tenant", String(100), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("who", String(255), nullable=False),
    Column("since", String(32), nullable=False),
)
"""An empty tenant is the whole cell."""

LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("cell", String(100), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("event", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

BASELINES = Table(
    "baselines",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("saved", String(32), nullable=False),
    Column("document", Text, nullable=False),
)

SPELLINGS = Table(
    "spellings",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("cell", String(100), nullable=False),
    Column("plan", String(64), nullable=False),
    Column("who", String(255), nullable=False),
    Column("note", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("expires", String(32), nullable=False),
    Column("repairs", Text, nullable=False),
    Index("approvals_by_cell", "cell", "expires"),
)

USED = Table(
    "used_approvals",
    METADATA,
    Column("approval", Integer, ForeignKey("approvals.number"), primary_key=True, autoincrement=False),
    Column("content", String(64), primary_key=True),
    Column("intent", Integer, ForeignKey("intents.intent"), nullable=False),
)
"""The key is what makes it impossible to carry out an approved repair twice."""

ACKNOWLEDGEMENTS = Table(
    "acknowledgements",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("cell", String(100), nullable=False),
    Column("tenant", String(100), nullable=False),
    Column("cause", String(32), nullable=False),
    Column("keys", Text, nullable=False),
    Column("who", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("expires", String(32), nullable=False),
    Index("acknowledgements_by_cell", "cell", "expires"),
)

BREAKERS = Table(
    "breakers",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("tenant", String(100), primary_key=True),
    Column("cause", String(32), primary_key=True),
    Column("keys", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", String(32), nullable=False),
    Column("setting", String(100), nullable=False),
    Column("acknowledged", Text, nullable=False),
)
"""The breakers that are open. An empty tenant is the whole cell."""

MARKS = Table(
    "marks",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("instance", String(64), primary_key=True),
    Column("urn", String(1024), nullable=False),
    Column("tenant", String(100), nullable=False),
    Column("reason", Text, nullable=False),
    Column("who", String(255), nullable=False),
    Column("since", String(32), nullable=False),
    Column("repaired", String(32)),
)
"""Servers that a person says were broken into."""

PROGRAMS = Table(
    "programs",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("program", Text, nullable=False),
    Column("seen", String(32), nullable=False),
)
"""Which version of this program, with which rules, made the last pass over a cell."""
SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("finding_id", String(64), primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("first", String(32), nullable=False),
    Column("last", String(32), nullable=False),
)
"""Since when a failing finding has been seen without a look in between that showed its subject in order."""

ESCALATED = Table(
    "escalated",
    METADATA,
    Column("cell", String(100), primary_key=True),
    Column("finding_id", String(64), primary_key=True),
    Column("said", String(64), nullable=False),
)
"""What was last said to a person about a finding, as a digest; it is forgotten with the finding's sighting."""
