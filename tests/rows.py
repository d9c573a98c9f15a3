"""Create a database for a test and rows to put into it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from models import sort_keys
from models.database import Connection, database_url, migrate, opened, transact
from models.tables import Role, Session, SessionStatus, User, Utterance, UtteranceSource
from tests.programs.postgres import EmptyDatabase

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
FILE = "voxql.db"

postgres: list[EmptyDatabase] = []
"""The database to use instead of a file, for tests that run on PostgreSQL."""
_migrated: list[bytes] = []
_numbers = count(1)


async def migrated(folder: Path) -> str:
    """Create a database with all of its tables in this folder and return its URL.

    Migrating takes most of the time of a short test, and the resulting file is always the same.
    """
    if postgres:
        return await postgres[0].url()
    url = database_url(folder)
    if not _migrated:
        await migrate(url)
        _migrated.append((folder / FILE).read_bytes())
    else:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / FILE).write_bytes(_migrated[0])
        (folder / FILE).chmod(0o600)
    return url


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """Create a database in this folder, open it and yield its URL."""
    url = await migrated(folder)
    async with opened(url):
        yield url


async def add_user(email: str | None = None, password_hash: str | None = None) -> User:
    """Add a user; without an e-mail it is a guest."""
    return await transact(
        lambda conn: User.create(
            email=email, password_hash=password_hash, created_at=START, using_db=conn
        )
    )


async def add_session(
    user: User,
    *texts: str,
    at: datetime | None = None,
    status: SessionStatus = SessionStatus.ENDED,
    agent_name: str = "voxql",
) -> Session:
    """Add a session with these texts, spoken in turns, one second apart."""
    return (await add_sessions(user, [texts], at=at, status=status, agent_name=agent_name))[0]


async def add_sessions(
    user: User,
    conversations: Sequence[Sequence[str]],
    *,
    at: datetime | None = None,
    status: SessionStatus = SessionStatus.ENDED,
    agent_name: str = "voxql",
) -> list[Session]:
    """Add many sessions in one transaction, one second apart."""
    sessions: list[Session] = []
    utterances: list[Utterance] = []
    for texts in conversations:
        number = next(_numbers)
        session = Session(
            user_id=user.id,
            status=status,
            agent_name=agent_name,
            created_at=at or START + timedelta(seconds=number),
            room_name=f"room-{number}",
            utterance_count=len(texts),
            last_seq=len(texts),
        )
        sessions.append(session)
        utterances.extend(utterance(session, place, text) for place, text in enumerate(texts))

    async def work(conn: Connection) -> None:
        await Session.bulk_create(sessions, using_db=conn)
        await Utterance.bulk_create(utterances, using_db=conn)

    await transact(work)
    return sessions


def utterance(session: Session, place: int, text: str, *, is_final: bool = True) -> Utterance:
    """Build an utterance without saving it."""
    return Utterance(
        session_id=session.id,
        key=f"key-{place}",
        revision=1,
        ceiling=1,
        seq=place + 1,
        role=Role.AGENT if place % 2 else Role.USER,
        source=UtteranceSource.SPEECH,
        text=text,
        is_final=is_final,
        sort_key=sort_keys.key_of(place),
        position=float(place),
        started_at=session.created_at + timedelta(seconds=place),
    )
