"""Reads and writes sessions and utterances in bulk, without the ORM's work for each row.

The ORM rebuilds its statement for every call, and checks every field of every row for a default.
For a thousand rows that takes twice as long as SQLite takes to store them, and a commit of one
short sentence takes ten times as long as its disk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

from tortoise.fields import DatetimeField
from tortoise.models import Model

from hub.events import CONTENT
from models import ids, sort_keys
from models.database import Connection, engine
from models.engine import Query
from models.tables.session import Session
from models.tables.utterance import Utterance
from models.turns import Turns

M = TypeVar("M", bound=Model)
T = TypeVar("T")

AT_ONCE: Final = 500
"""Rows per statement."""

_UPDATED: Final = (
    "agent_revision",
    "revision",
    "ceiling",
    "seq",
    *CONTENT,
    "awaits_agent",
)
_COLUMNS: Final = (
    "id",
    "session_id",
    "key",
    "attempt",
    "began_at",
    "sort_key",
    "position",
    *_UPDATED,
)
_UPSERT: Final = (
    f"INSERT INTO utterances ({', '.join(_COLUMNS)}) "  # noqa: S608 - the names are those above
    f"VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (session_id, key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _UPDATED)
)
# A join, because SQLite would use no index for `(session_id, key) IN (VALUES …)`.
_BY_KEY: Final = """
WITH wanted(session_id, key) AS (VALUES {marks})
SELECT u.* FROM wanted w JOIN utterances u ON u.session_id = w.session_id AND u.key = w.key"""
_BY_ID: Final = "SELECT * FROM utterances WHERE id IN ({marks})"
# A statement of its own: one that waits for a row sees the row's new values, but the rows of other
# tables as they were before.
_LOCK: Final = "SELECT id FROM sessions WHERE id IN ({marks}) ORDER BY id FOR UPDATE"
# The last sort key is read from the end of the index utterances_order, however long the session is.
_SESSIONS: Final = """
SELECT *, (
    SELECT sort_key FROM utterances WHERE session_id = sessions.id ORDER BY sort_key DESC LIMIT 1
) AS last_sort_key
FROM sessions WHERE id IN ({marks})"""

# Enums by their value; sqlite3 would first ask every adapter about the enum types.
_ENUMS: Final = {"role": "role.value", "source": "source.value"}
_values: Final = attrgetter(*(_ENUMS.get(name, name) for name in _COLUMNS))


def hydrated(model: type[M], row: dict[str, Any]) -> M:
    """Build an object from a row that has all columns of its table."""
    moment = engine().moment
    for name in _moments(model):
        if row[name] is not None:
            row[name] = moment(row[name])
    return _object(model, row, is_stored=True)


def _object(model: type[M], row: dict[str, Any], *, is_stored: bool) -> M:
    """Build an object from its columns, which are named as its fields.

    The ORM's `_init_from_db` does the same, but sets and converts each field by itself.
    """
    one = model.__new__(model)
    values = vars(one)
    values.update(row)
    for name, convert in _conversions(model):
        if (value := values[name]) is not None:
            values[name] = convert(value)
    one._partial, one._saved_in_db, one._await_when_save = False, is_stored, {}
    one._custom_generated_pk = _makes_keys(model)
    return one


def unwritten(session_id: str, key: str, sort_key: str, **values: Any) -> Utterance:
    """Build an utterance that is not stored yet; `values` are all its other columns."""
    columns = {
        "number": None,
        "id": ids.new_utterance(),
        "session_id": session_id,
        "key": key,
        "sort_key": sort_key,
        "position": sort_keys.number_of(sort_key),
        **values,
    }
    return _object(Utterance, columns, is_stored=False)


async def with_keys(
    conn: Connection, wanted: Mapping[str, Iterable[str]]
) -> dict[str, list[Utterance]]:
    """Read the utterances with these keys; keys and results are grouped by session."""
    return await _utterances(await engine().queried(conn, _by_key(wanted)))


async def with_ids(conn: Connection, wanted: Sequence[str]) -> dict[str, Utterance]:
    """Read those of the utterances with these ids that exist."""
    queries = [(_BY_ID.format(marks=", ".join("?" * len(some))), some) for some in _chunks(wanted)]
    by_session = await _utterances(await engine().queried(conn, queries))
    return {row.id: row for rows in by_session.values() for row in rows}


async def locked_with_keys(
    conn: Connection, wanted: Mapping[str, Iterable[str]]
) -> tuple[list[tuple[Session, str | None]], dict[str, list[Utterance]]]:
    """Lock sessions until `conn` commits, and read them and some of their utterances.

    Returns the sessions, including tombstones, each with the sort key of its last utterance, and
    the utterances with these keys, as `with_keys` does.
    """
    chunks = [(", ".join("?" * len(some)), some) for some in _chunks(list(wanted))]
    sessions: list[Query] = [(_SESSIONS.format(marks=marks), some) for marks, some in chunks]
    locks: list[Query] = (
        [(_LOCK.format(marks=marks), some) for marks, some in chunks] if engine().locks_rows else []
    )
    found = await engine().queried(conn, [*locks, *sessions, *_by_key(wanted)])
    after = len(locks) + len(sessions)
    return _sessions(found[len(locks) : after]), await _utterances(found[after:])


def _by_key(wanted: Mapping[str, Iterable[str]]) -> list[Query]:
    pairs = [(session_id, key) for session_id, keys in wanted.items() for key in keys]
    return [
        (
            _BY_KEY.format(marks=", ".join(["(?, ?)"] * len(some))),
            [value for pair in some for value in pair],
        )
        for some in _chunks(pairs)
    ]


def _sessions(found: Iterable[list[dict[str, Any]]]) -> list[tuple[Session, str | None]]:
    sessions = []
    for row in chain.from_iterable(found):
        last_sort_key = row.pop("last_sort_key")
        sessions.append((hydrated(Session, row), last_sort_key))
    return sessions


async def _utterances(found: Iterable[list[dict[str, Any]]]) -> dict[str, list[Utterance]]:
    utterances: dict[str, list[Utterance]] = defaultdict(list)
    async for row in Turns().of(chain.from_iterable(found)):
        utterances[row["session_id"]].append(hydrated(Utterance, row))
    return utterances


async def write(conn: Connection, rows: Sequence[Utterance]) -> None:
    """Insert these rows, or update them if their session and key exist."""
    async for some in Turns().of(_chunks(rows)):
        await conn.execute_many(_UPSERT, [list(_values(row)) for row in some])


async def update_sessions(
    conn: Connection, changes: Iterable[tuple[Session, tuple[str, ...]]]
) -> None:
    """Write these columns of these sessions."""
    alike: dict[tuple[str, ...], list[Session]] = defaultdict(list)
    for session, names in changes:
        if names:
            alike[names].append(session)
    for names, sessions in alike.items():
        values = [[*(getattr(each, name) for name in names), each.id] for each in sessions]
        await conn.execute_many(_update(names), values)


@cache
def _update(names: tuple[str, ...]) -> str:
    columns = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE sessions SET {columns} WHERE id = ?"  # noqa: S608 - names are the model's own


@cache
def _moments(model: type[Model]) -> list[str]:
    fields = model._meta.fields_map.items()
    return [name for name, field in fields if isinstance(field, DatetimeField)]


@cache
def _conversions(model: type[Model]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return the other fields whose values are stored as something else, and the conversions."""
    meta = model._meta
    simple = [(name, field.field_type) for _, name, field in meta.db_default_fields]
    complex_ = [(name, field.to_python_value) for _, name, field in meta.db_complex_fields]
    return [(name, to) for name, to in simple + complex_ if name not in _moments(model)]


@cache
def _makes_keys(model: type[Model]) -> bool:
    """Whether VoxQL makes this model's primary key, instead of the database."""
    return model._meta.db_pk_column not in model._meta.generated_db_fields


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
