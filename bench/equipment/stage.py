"""Creates the users, tokens and sessions to measure with, before a server starts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.database import Connection, database_url, migrate, opened, transact
from models.tables import ApiToken, Session, SessionStatus, User
from resolvers.accounts import credentials
from resolvers.viewer import TokenScope, Viewer

AGENT: Final = "voxql"


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder and the data in its database."""

    folder: Path
    viewer: Viewer
    secret: str
    """The secret of the API token that all requests use."""
    session_ids: list[str]

    @property
    def url(self) -> str:
        """The database's URL."""
        return database_url(self.folder)


async def set_up(folder: Path, sessions: int) -> Stage:
    """Make a database with one user, a token and this many ACTIVE sessions."""
    url = database_url(folder)
    await migrate(url)
    now = datetime.now(UTC)
    secret = credentials.new_token_secret()

    async def work(conn: Connection) -> Stage:
        user = await User.create(created_at=now, using_db=conn)
        token = await ApiToken.create(
            user_id=user.id,
            name="bench",
            secret_hash=credentials.digest(secret),
            prefix=secret[: credentials.SHOWN],
            scopes=[scope.value for scope in TokenScope],
            created_at=now,
            last_used_at=now,
            using_db=conn,
        )
        rows = [_session(user.id, number, now) for number in range(sessions)]
        await Session.bulk_create(rows, using_db=conn)
        viewer = Viewer(user.id, True, None, token.id, frozenset(TokenScope), None)
        return Stage(folder, viewer, secret, [row.id for row in rows])

    async with opened(url):
        return await transact(work)


def _session(user_id: str, number: int, now: datetime) -> Session:
    return Session(
        user_id=user_id,
        status=SessionStatus.ACTIVE,
        agent_name=AGENT,
        created_at=now,
        started_at=now,
        room_name=f"bench-{number}",
        attempt=1,
    )
