"""The stream of session updates: one session, or all of a viewer's."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from hub.events import (
    SessionChanged,
    SessionDeleted,
    SessionMoved,
    SessionState,
    session_topic,
    user_topic,
)
from hub.hub import Hub
from models.database import reader
from models.repositories import sessions
from resolvers.access import owned_session, require
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.transcripts.streams import REMEMBERED
from resolvers.transcripts.watching import Ended, Stream, StreamEnd, Watching
from resolvers.viewer import TokenScope, Viewer


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """A session's current state, or the id of one that is gone; a mere marker has neither."""

    session: SessionState | None = None
    deleted_session_id: str | None = None
    end: StreamEnd | None = None


async def open_session_updates(
    hub: Hub,
    metrics: Metrics,
    clock: Clock,
    viewer: Viewer | None,
    session_id: str | None = None,
) -> "SessionUpdateStream":
    """Authorise, then return the stream of one session, or of all the viewer's sessions.

    Raises:
        Refusal: The viewer may not watch this.
    """
    allowed = require(viewer, TokenScope.SESSIONS_READ)
    if session_id is not None:
        await owned_session(allowed, session_id, scope=TokenScope.SESSIONS_READ)
    return SessionUpdateStream(Watching(hub, metrics, clock, allowed), session_id)


class SessionUpdateStream(Stream[SessionUpdate]):
    """The updates of one session, or of all the viewer's sessions."""

    def __init__(self, watching: Watching, session_id: str | None) -> None:
        topic = (
            user_topic(watching.viewer.user_id) if session_id is None else session_topic(session_id)
        )
        super().__init__(watching, "sessionUpdates", topic, session_id)
        self._one = session_id
        self._gone: OrderedDict[str, None] = OrderedDict()

    async def _begin(self) -> AsyncGenerator[SessionUpdate, None]:
        yield SessionUpdate() if self._one is None else SessionUpdate(await _living(self._one))

    def _follow(
        self, published: object
    ) -> SessionUpdate | AsyncGenerator[SessionUpdate, None] | None:
        if isinstance(published, SessionDeleted | SessionMoved):
            return self._unless_late(SessionUpdate(deleted_session_id=published.session_id))
        if not isinstance(published, SessionChanged):
            return None
        if published.session is None:
            return self._as_it_is(published.session_id)
        return self._unless_late(SessionUpdate(published.session))

    async def _as_it_is(self, session_id: str) -> AsyncGenerator[SessionUpdate, None]:
        # A queued event may be about a session that has another owner by now.
        session = await sessions.living(reader(), session_id, self._watching.viewer.user_id)
        if session is None:
            return
        if (update := self._unless_late(SessionUpdate(session.state()))) is not None:
            yield update

    def _unless_late(self, update: SessionUpdate) -> SessionUpdate | None:
        """Drop an older state of a session that the viewer was told is gone.

        Events of two processes may arrive in another order than they were committed.
        """
        if update.deleted_session_id is not None:
            self._gone[update.deleted_session_id] = None
            if len(self._gone) > REMEMBERED:
                self._gone.popitem(last=False)
            return update
        is_late = update.session is not None and update.session.id in self._gone
        return None if is_late else update

    def _check_over(self, event: SessionUpdate) -> None:
        if self._one is not None and event.deleted_session_id is not None:
            raise Ended("SESSION_DELETED")

    def _last(self, end: StreamEnd) -> SessionUpdate:
        return SessionUpdate(end=end)


async def _living(session_id: str) -> SessionState:
    session = await sessions.living(reader(), session_id)
    if session is None:
        raise Ended("SESSION_DELETED")
    return session.state()
