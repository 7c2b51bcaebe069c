"""The database file: how it is opened, its tables, and what its errors mean to a person."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgewatch.pipeline.errors import StoreError

SCHEMA_VERSION = 4
_APPLICATION_ID = 0x45645774
"""Says in the file's header whose database it is ("EdWt")."""
_MODE = 0o640

# Without NOT NULL on floats: SQLite stores NaN as NULL, and no odd figure may ever keep an event
# from being written. AUTOINCREMENT: an id is never given twice, even after the newest row went.
_SCHEMA = (
    """CREATE TABLE verdicts (
        camera TEXT, end_seconds REAL, clip_id TEXT, start_seconds REAL, label TEXT, score REAL,
        threshold REAL, media_start_seconds REAL, media_end_seconds REAL, engine TEXT,
        latency_ms REAL, evidence TEXT, warming_up INTEGER, uncertain INTEGER, replay INTEGER,
        PRIMARY KEY (camera, end_seconds, clip_id)) WITHOUT ROWID""",
    """CREATE TABLE events (
        event_id TEXT PRIMARY KEY, camera TEXT NOT NULL, start_seconds REAL, end_seconds REAL,
        change INTEGER NOT NULL, snapshot TEXT NOT NULL)""",
    "CREATE INDEX events_by_start ON events (start_seconds)",
    "CREATE INDEX events_by_change ON events (change)",
    "CREATE INDEX events_open ON events (start_seconds) WHERE end_seconds IS NULL",
    """CREATE TABLE coverage (
        camera TEXT, start_ms INTEGER, end_ms INTEGER NOT NULL, coverage TEXT NOT NULL,
        PRIMARY KEY (camera, start_ms)) WITHOUT ROWID""",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, topic TEXT NOT NULL,
        payload BLOB NOT NULL, created_seconds REAL NOT NULL)""",
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE changes (latest INTEGER NOT NULL)",
    "INSERT INTO changes VALUES (0)",
)

_UPGRADES = {
    2: ("ALTER TABLE verdicts ADD COLUMN prompt_hash TEXT NOT NULL DEFAULT ''",),
    3: (
        "ALTER TABLE outbox ADD COLUMN channel TEXT NOT NULL DEFAULT 'mqtt'",
        "CREATE INDEX outbox_by_channel ON outbox (channel, id)",
        # A timeline of many days reads scores alone: a fifth of what the rows take.
        """CREATE INDEX verdict_scores ON verdicts
            (camera, end_seconds, score, threshold, start_seconds)""",
        # A timeline of a day would read tens of thousands of scores.
        """CREATE TABLE score_minutes (
            camera TEXT, minute INTEGER, highest REAL, lowest REAL, total REAL, threshold REAL,
            clips INTEGER, PRIMARY KEY (camera, minute)) WITHOUT ROWID""",
        """INSERT INTO score_minutes
            SELECT camera, CAST(end_seconds / 60 AS INTEGER), max(score), min(score), sum(score),
                max(threshold), count(*)
            FROM verdicts WHERE score IS NOT NULL GROUP BY 1, 2""",
        "ALTER TABLE events ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0",
        # As `encode_event` writes it; a quotation mark within a text has a backslash before it.
        """UPDATE events SET suppressed = 1 WHERE instr(snapshot, '"suppressed_by": "')""",
        "DROP INDEX events_by_start",
        """CREATE INDEX events_by_start ON events
            (start_seconds, event_id, end_seconds, suppressed)""",
        """CREATE INDEX events_by_camera ON events
            (camera, start_seconds, event_id, end_seconds, suppressed)""",
        """CREATE TABLE setting_changes (
            camera TEXT NOT NULL, key TEXT NOT NULL, at_seconds REAL NOT NULL,
            value TEXT NOT NULL, changed_by TEXT NOT NULL)""",
        "CREATE INDEX setting_changes_by_time ON setting_changes (camera, key, at_seconds)",
        """CREATE TABLE feedback (
            event_id TEXT PRIMARY KEY, camera TEXT NOT NULL, correct INTEGER NOT NULL,
            note TEXT NOT NULL, given_by TEXT NOT NULL, given_seconds REAL NOT NULL)""",
        """CREATE TABLE evidence (
            event_id TEXT PRIMARY KEY, camera TEXT NOT NULL, state TEXT NOT NULL,
            detail TEXT NOT NULL, folder TEXT NOT NULL, size_bytes INTEGER NOT NULL,
            created_seconds REAL NOT NULL, protected INTEGER NOT NULL)""",
        "CREATE INDEX evidence_by_age ON evidence (created_seconds)",
    ),
    4: (
        """CREATE TABLE drills (
            drill_id TEXT PRIMARY KEY, camera TEXT NOT NULL, started_seconds REAL NOT NULL,
            passed INTEGER NOT NULL, result TEXT NOT NULL)""",
        "CREATE INDEX drills_by_camera ON drills (camera, started_seconds)",
    ),
}
"""What leads from each version's schema to the next; `_SCHEMA` is version 1."""

_DAMAGED_CURE = (
    "stop edgewatch, move the file and its -wal and -shm neighbours aside (keep them: much of it "
    "can often be recovered with `sqlite3 FILE .recover`) and start again with a new one"
)
_TROUBLE = {
    sqlite3.SQLITE_FULL: "the disk is full: free space there",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written: check its space and its health",
    sqlite3.SQLITE_READONLY: "it may not be written: check its mode and how its disk is mounted",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that it is still there, and its mode",
    sqlite3.SQLITE_PERM: "it may not be opened: check its owner and mode",
    sqlite3.SQLITE_BUSY: "another process holds it locked: end that process",
    sqlite3.SQLITE_LOCKED: "another process holds it locked: end that process",
    sqlite3.SQLITE_NOMEM: "memory is short",
    sqlite3.SQLITE_CORRUPT: f"it is damaged: {_DAMAGED_CURE}",
    sqlite3.SQLITE_NOTADB: f"it is damaged, or no database at all: {_DAMAGED_CURE}",
}


class Database:
    """One open connection. One thread only: the one that opened it.

    The only writer holds a lock on a file beside the database; a process that is killed loses it.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path | None, lock: int | None = None
    ) -> None:
        self.connection = connection
        self._path = path
        self._lock = lock

    @classmethod
    def writable(cls, path: Path | None, *, busy_seconds: float, max_bytes: int | None) -> Database:
        """Open for the one writer, making the file and its folder if need be. None: in memory.

        Raises StoreError naming the file and the cure.
        """
        lock = None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = _lock(path)
                _create(path)
        except OSError as error:
            raise StoreError(
                f"database {path} cannot be made: {error.strerror}; check owner and mode of "
                "its folder"
            ) from error
        with _closing_on_error(path, lock):
            connection = sqlite3.connect(
                ":memory:" if path is None else path, timeout=busy_seconds, isolation_level=None
            )
            database = cls(connection, path, lock)
        with _closing_on_error(path, lock, connection):
            database._prepare(max_bytes)
        return database

    @classmethod
    def readonly(cls, path: Path, *, busy_seconds: float) -> Database:
        """Open beside a writer that may be at work. Raises StoreError naming file and cure.

        Where no writer runs and the folder may not be written, SQLite cannot make the files that
        it coordinates readers with: then the file is read as it is now, and stays so.
        """
        if not path.exists():
            raise StoreError(
                f"there is no database {path} yet: start `edgewatch run` first, or name another "
                "configuration with --config"
            )
        writer_files = path.with_name(path.name + "-wal").exists()
        alone = not writer_files and not os.access(path.parent, os.W_OK)
        with _closing_on_error(path, None):
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}",
                uri=True,
                timeout=busy_seconds,
                isolation_level=None,
            )
        with _closing_on_error(path, None, connection):
            database = cls(connection, path)
            version = database._version()
            if version == 0:
                raise StoreError(f"database {path} is empty: start `edgewatch run` first")
            if version < SCHEMA_VERSION:
                raise StoreError(
                    f"database {path} was written by an older edgewatch: start this version's "
                    "`edgewatch run` once, which brings it up to date"
                )
        return database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises sqlite3.Error; nothing was written then."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            # SQLite itself rolls back after some errors (disk full among them).
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def trouble(self, error: sqlite3.Error) -> str:
        """Say what is wrong with the file and what a person can do about it."""
        return _trouble(self._path, error)

    def close(self) -> None:
        """Close file and lock; idempotent."""
        self.connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare(self, max_bytes: int | None) -> None:
        db = self.connection
        version = self._version()
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if self._path is not None and mode != "wal":
            raise StoreError(
                f"database {self._path} lies on a file system without shared memory (a network "
                "share?): put service.data_dir on a local disk"
            )
        # In WAL mode only FULL syncs the log at each commit. With NORMAL a power cut may take
        # back the newest commits: an event that was accepted, or a deletion of one that was sent.
        db.execute("PRAGMA synchronous = FULL")
        # A long read elsewhere can let the log grow; give the space back afterwards.
        db.execute("PRAGMA journal_size_limit = 16777216")
        if max_bytes is not None:
            page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {max_bytes // page_bytes}")
        if version < SCHEMA_VERSION:
            with self.transaction():
                for statement in _statements(version):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _version(self) -> int:
        """Return the schema's version, 0 for an empty file. Raises StoreError if it is not ours."""
        db = self.connection
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        owner = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner != _APPLICATION_ID and (owner or version or tables):
            raise StoreError(
                f"{self._path} is the database of another program: put service.data_dir elsewhere"
            )
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"database {self._path} was written by a newer edgewatch (schema {version}, this "
                f"one knows {SCHEMA_VERSION}): install that version again, or move the file aside"
            )
        return version


def _statements(version: int) -> Iterator[str]:
    """Yield what makes this version's schema out of an older one; 0 is an empty file."""
    if version == 0:
        yield from _SCHEMA
    for number, upgrade in sorted(_UPGRADES.items()):
        if number > version:
            yield from upgrade


def _lock(path: Path) -> int:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreError(
            f"database {path} is in use by another edgewatch: stop that one, or give this one "
            "another service.data_dir"
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _create(path: Path) -> None:
    """Make the file readable by its group, so that `edgewatch events` need not be root.

    SQLite gives its -wal and -shm files the same mode.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE)
        os.fchmod(descriptor, _MODE)  # whatever the umask
        os.close(descriptor)


@contextmanager
def _closing_on_error(
    path: Path | None, lock: int | None, connection: sqlite3.Connection | None = None
) -> Iterator[None]:
    """Undo an opening that fails, and put SQLite's errors into words."""
    try:
        yield
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if lock is not None:
            os.close(lock)
        if isinstance(error, StoreError):
            raise
        raise StoreError(_trouble(path, error)) from error


def _trouble(path: Path | None, error: sqlite3.Error) -> str:
    # The low byte is the primary code; errors that Python itself raises carry none.
    words = _TROUBLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, str(error))
    return f"database {path or 'in memory'}: {words}"
