"""Copies a whole database into another one, of whatever kind."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from json import dumps, loads
from typing import Any, Final

from tortoise import fields
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor
from tortoise.models import Model

from models.database import configuration, migrate
from models.engine import CannotUse, Engine
from models.engines import engine_of
from models.tables import ApiToken, IdempotencyRecord, Login, Session, User, Utterance

ORDER: Final[tuple[type[Model], ...]] = (
    User,
    Login,
    ApiToken,
    IdempotencyRecord,
    Session,
    Utterance,
)
"""Each table after those that it refers to."""
AT_ONCE: Final = 1_000
"""Rows per transaction."""

Progress = Callable[[str, int, int], None]
"""Takes a table's name, how many of its rows are in both databases, and how many it has."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied of one table."""

    table: str
    rows: int
    """Rows in both databases."""
    found: int
    """Rows that an earlier, interrupted copy had already brought."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two databases."""

    engine: Engine
    context: TortoiseContext

    @property
    def reader(self) -> Any:
        return self.context.connections.get("reader")

    @property
    def writer(self) -> Any:
        return self.context.connections.get("default")

    async def count(self, table: str, where: str = "true", *values: object) -> int:
        query = f"SELECT count(*) AS number FROM {table} WHERE {where}"  # noqa: S608 - own names
        rows = await self.reader.execute_query_dict(query, list(values))
        return int(rows[0]["number"])


@dataclass(frozen=True, slots=True)
class _Table:
    """How one table is read and written."""

    name: str
    key: str
    columns: tuple[str, ...]
    fields: tuple[fields.Field[Any], ...]

    @classmethod
    def of(cls, model: type[Model]) -> "_Table":
        meta = model._meta
        names = meta.fields_db_projection
        known = tuple(meta.fields_map[name] for name in names)
        return cls(meta.db_table, meta.db_pk_column, tuple(names.values()), known)

    async def read(self, side: _Side, after: object, until: object = None) -> list[tuple[Any, ...]]:
        """Read rows after a key, in the order of keys: up to another key, or `AT_ONCE` of them."""
        where, values = f"{self.key} > ?", [after]
        if until is not None:
            where, values = f"{where} AND {self.key} <= ?", [after, until]
        query = (
            f"SELECT {', '.join(self.columns)} FROM {self.name} "  # noqa: S608 - own names
            f"WHERE {where} ORDER BY {self.key} LIMIT {AT_ONCE}"
        )
        rows = await side.reader.execute_query_dict(query, values)
        return [tuple(map(_read(side.engine), self.fields, row.values())) for row in rows]

    async def write(self, side: _Side, rows: Sequence[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * len(self.columns))
        query = f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608 - own names
        values = [list(map(_written, self.fields, row)) for row in rows]
        with side.context:
            async with side.writer._in_transaction() as conn:
                await conn.execute_many(query, values)

    @property
    def first(self) -> object:
        """A value before every key."""
        is_number = isinstance(self.fields[self.columns.index(self.key)], fields.BigIntField)
        return -1 if is_number else ""

    def key_of(self, row: tuple[Any, ...]) -> object:
        return row[self.columns.index(self.key)]


async def copy_database(
    source_url: str, target_url: str, progress: Progress = lambda *_: None
) -> list[Copied]:
    """Copy all rows, and check that the target has the same ones and no others.

    Both databases are locked against servers meanwhile. The copy may be interrupted and begun anew:
    what is already there is compared, and the rest is added. Ids, cursors, seqs and revisions stay
    the same, so clients resume on the copy.

    Raises:
        CannotUse: The source is missing or from another version, a server uses one of them, or the
            target has other data. The message says what to do.
    """
    source, target = engine_of(source_url), engine_of(target_url)
    if source_url == target_url:
        raise CannotUse("Both URLs name the same database.")
    source.check_files()
    target.check_files()
    if not source.exists():
        raise CannotUse(f"There is no database at {source_url}.")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(source.sole_process())
        await stack.enter_async_context(target.sole_process())
        await migrate(target_url)
        here = await stack.enter_async_context(_connected(source))
        there = await stack.enter_async_context(_connected(target))
        await _check_version(here)
        tables = [_Table.of(model) for model in ORDER]
        begun = [await _begun(table, here, there) for table in tables]
        copied = [
            await _copy(table, found, here, there, progress)
            for table, found in zip(tables, begun, strict=True)
        ]
        numbered = [(table.name, table.key) for table in tables if table.first == -1]
        with there.context:
            async with there.writer._in_transaction() as conn:
                await target.finish_copy(conn, numbered)
    return copied


@asynccontextmanager
async def _connected(engine: Engine) -> AsyncIterator[_Side]:
    context = TortoiseContext()
    with context:
        await context.init(configuration(engine))
    try:
        for alias in ("default", "reader"):
            await context.connections.get(alias).create_connection(with_db=True)
        yield _Side(engine, context)
    finally:
        await context.close_connections()


async def _check_version(source: _Side) -> None:
    with source.context:
        executor = MigrationExecutor(source.reader, configuration(source.engine)["apps"])
        waiting = [step.migration.name for step in await executor.plan()]
    if waiting:
        raise CannotUse(
            f"The database to copy lacks {', '.join(waiting)}. Bring it up to date first: "
            "VOXQL_DATABASE_URL=… voxql migrate"
        )


async def _begun(table: _Table, here: _Side, there: _Side) -> int:
    """Return how many rows an earlier copy has brought; they are the first ones."""
    found = await there.count(table.name)
    if not found:
        return 0
    query = f"SELECT max({table.key}) AS last FROM {table.name}"  # noqa: S608 - own names
    last = (await there.reader.execute_query_dict(query))[0]["last"]
    if found != await here.count(table.name, f"{table.key} <= ?", last):
        raise _other_data(table)
    return found


async def _copy(table: _Table, found: int, here: _Side, there: _Side, progress: Progress) -> Copied:
    total, done, after = await here.count(table.name), 0, table.first
    progress(table.name, done, total)
    while rows := await table.read(here, after):
        last = table.key_of(rows[-1])
        known = await table.read(there, after, last) if done < found else []
        if known != rows[: len(known)]:
            raise _other_data(table)
        if len(known) < len(rows):
            await table.write(there, rows[len(known) :])
        after = last
        done += len(rows)
        progress(table.name, done, total)
    if not done == total == await there.count(table.name):
        raise _other_data(table)
    return Copied(table.name, total, found)


def _other_data(table: _Table) -> CannotUse:
    return CannotUse(
        f"The target has other data in {table.name}; nothing of it was changed. Copy into an empty "
        "database, or into one that an interrupted copy of the same data has begun to fill."
    )


def _read(engine: Engine) -> Callable[[fields.Field[Any], Any], Any]:
    """Return a function that makes the same value of what each kind of database returns."""

    def read(field: fields.Field[Any], value: Any) -> Any:
        if value is None:
            return None
        match field:
            case fields.DatetimeField():
                return engine.moment(value)
            case fields.BooleanField():
                return bool(value)
            case fields.JSONField():
                return loads(value) if isinstance(value, str) else value
            case _:
                return value

    return read


def _written(field: fields.Field[Any], value: Any) -> Any:
    is_json = isinstance(field, fields.JSONField) and value is not None
    return dumps(value, separators=(",", ":")) if is_json else value
