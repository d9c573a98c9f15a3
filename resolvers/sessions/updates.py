"""The stream of session updates: one session, or all of a viewer's.

A stream subscribes to the hub before it reads the database, so nothing is missed in between.
"""

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
from hub.subscription import ReaderTooSlow
from models.database import reader
from models.repositories import sessions
from resolvers.access import owned_session, require
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.transcripts.streams import (
    REMEMBERED,
    TOO_SLOW,
    Ended,
    StreamEnd,
    check_access,
    ends_of,
    events_of,
    noted,
)
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
) -> AsyncGenerator[SessionUpdate, None]:
    """Authorise, then return the stream of one session, or of all the viewer's sessions.

    Raises:
        Refusal: Before the first event only.
    """
    allowed = require(viewer, TokenScope.SESSIONS_READ)
    if session_id is not None:
        await owned_session(allowed, session_id, scope=TokenScope.SESSIONS_READ)
        return _session_updates(hub, metrics, clock, allowed, session_topic(session_id), session_id)
    return _session_updates(hub, metrics, clock, allowed, user_topic(allowed.user_id), None)


async def _session_updates(
    hub: Hub,
    metrics: Metrics,
    clock: Clock,
    viewer: Viewer,
    topic: str,
    session_id: str | None,
) -> AsyncGenerator[SessionUpdate, None]:
    topics = (topic, *ends_of(viewer, session_id))
    with metrics.watching("sessionUpdates"), hub.subscribe(*topics) as subscription:
        try:
            await check_access(viewer, session_id)
            if session_id is None:
                yield SessionUpdate()
            else:
                yield SessionUpdate(await _living(session_id))
            gone: OrderedDict[str, None] = OrderedDict()
            async for published in events_of(clock, viewer, subscription):
                update = await _update_of(published, viewer)
                if update is not None and not _is_late(update, gone):
                    yield update
                if session_id is not None and update is not None:
                    _check_over(update)
        except Ended as ended:
            yield SessionUpdate(end=noted(metrics, ended.end))
        except ReaderTooSlow:
            yield SessionUpdate(end=noted(metrics, TOO_SLOW))


def _is_late(update: SessionUpdate, gone: OrderedDict[str, None]) -> bool:
    """Whether this is an older state of a session that the viewer was told is gone.

    Events of two processes may arrive in another order than they were committed.
    """
    if update.deleted_session_id is not None:
        gone[update.deleted_session_id] = None
        if len(gone) > REMEMBERED:
            gone.popitem(last=False)
        return False
    return update.session is not None and update.session.id in gone


async def _living(session_id: str) -> SessionState:
    session = await sessions.living(reader(), session_id)
    if session is None:
        raise Ended("SESSION_DELETED")
    return session.state()


async def _update_of(published: object, viewer: Viewer) -> SessionUpdate | None:
    if isinstance(published, SessionDeleted | SessionMoved):
        return SessionUpdate(deleted_session_id=published.session_id)
    if not isinstance(published, SessionChanged):
        return None
    if published.session is not None:
        return SessionUpdate(published.session)
    # A queued event may be about a session that has another owner by now.
    session = await sessions.living(reader(), published.session_id, viewer.user_id)
    return None if session is None else SessionUpdate(session.state())


def _check_over(update: SessionUpdate) -> None:
    if update.deleted_session_id is not None:
        raise Ended("SESSION_DELETED")
