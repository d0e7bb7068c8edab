"""nbgrader's gradebook: opened, or made by nbgrader itself, whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from nbgrader.api import Gradebook
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError

from attncourse.grading.keeping.files import draft_name, remove_abandoned
from attncourse.grading.model import GradingError

BUSY_S = 60.0
TRIES = 5

# What nbgrader's tables have no place for. `submission` is the row of
# nbgrader's submitted notebook: a record outlives a removed one in vain.
# `by_hand` is a digest of the people's marks that the feedback tells.
RECORDS = Table(
    "grading_record",
    MetaData(),
    Column("student", String(128), primary_key=True),
    Column("assignment", String(128), primary_key=True),
    Column("notebook", String(128), primary_key=True),
    Column("submission", String(32), nullable=False),
    Column("content_key", String(64), nullable=False),
    Column("by_hand", String(64), nullable=False),
    Column("outcome", Text(), nullable=False),
    Column("graded", String(40), nullable=False),
)


class Book:
    """A gradebook's transactions; each is there whole or not at all."""

    def __init__(self, db_url: str, course_id: str):
        self.url = make_url(db_url)
        self.course_id = course_id
        self.sqlite = self.url.get_backend_name() == "sqlite"
        with _plainly(self.url):
            _ensure(self.url, course_id)
            self.engine = self._engine()
            with self.engine.begin() as connection:
                RECORDS.metadata.create_all(connection)

    def _engine(self) -> Engine:
        if not self.sqlite:
            return sqlalchemy.create_engine(self.url)
        engine = sqlalchemy.create_engine(
            self.url, connect_args={"timeout": BUSY_S}
        )

        # Python's sqlite3 would begin a transaction only at the first
        # change: what was read before could change under it.
        @event.listens_for(engine, "connect")
        def _(connection: Any, _: Any) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def _(connection: Connection) -> None:
            reads = connection.get_execution_options().get("reads")
            connection.exec_driver_sql("BEGIN" + " IMMEDIATE" * (not reads))

        return engine

    def change(self, work: Any) -> Any:
        """Run ``work(connection)`` in one transaction; return its value.

        It is repeated if another grader created the same rows meanwhile.
        """
        with _plainly(self.url):
            for left in reversed(range(TRIES)):
                try:
                    with self.engine.begin() as connection:
                        return work(connection)
                except IntegrityError:
                    if not left:
                        raise
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a view of one moment."""
        engine = self.engine.execution_options(reads=True)
        with _plainly(self.url), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the gradebook."""
        self.engine.dispose()


@contextlib.contextmanager
def _plainly(url: sqlalchemy.URL) -> Iterator[None]:
    """Say what a person can do about it if the database refuses."""
    try:
        yield
    except OperationalError as error:
        said = str(error.orig)
        advice = "look at the message, then run the same command again"
        if "locked" in said:
            advice = "another program holds it: run the same command again"
        elif "full" in said or "I/O" in said:
            advice = (
                "what was graded before is saved: make room and run the "
                "same command again"
            )
        elif "no such" in said:
            advice = "if it is an old one, run `nbgrader db upgrade`"
        raise GradingError(
            f"the gradebook {url.database} must be usable: got {said}; "
            f"{advice}"
        ) from error


def _ensure(url: sqlalchemy.URL, course_id: str) -> None:
    """Make a gradebook where there is none, whole or not at all."""
    own = str(Path(sys.executable).parent)
    before = os.environ.get("PATH", "")
    # nbgrader starts `alembic` by name when it makes a gradebook.
    os.environ["PATH"] = os.pathsep.join([own, before])
    try:
        if url.get_backend_name() != "sqlite" or not url.database:
            Gradebook(_text(url), course_id).close()
        elif not os.path.exists(url.database):
            _make(Path(url.database), course_id)
    except OSError as error:
        raise GradingError(
            f"the gradebook {url.database} must be writable: got {error}"
        ) from error
    finally:
        os.environ["PATH"] = before


def _make(file: Path, course_id: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(file)
    folder = draft_name(file)
    folder.mkdir()
    try:
        draft = folder / file.name
        Gradebook(f"sqlite:///{draft}", course_id).close()
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # another was first
            os.link(draft, file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _text(url: sqlalchemy.URL) -> str:
    return url.render_as_string(hide_password=False)
