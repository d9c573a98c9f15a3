"""Authorisation: the only way from an identifier to a session."""

from typing import TypeVar

from hub.events import SessionState
from models import ids
from models.database import Connection, reader
from models.repositories import sessions
from models.tables import Session
from resolvers.limits import Field
from resolvers.refusals import BadUserInput, Forbidden, NotFound, Unauthenticated
from resolvers.viewer import TokenScope, Viewer

S = TypeVar("S", bound=Session | SessionState)


def signed_in(viewer: Viewer | None) -> Viewer:
    """Return the viewer; refuse if nobody is signed in."""
    if viewer is None:
        raise Unauthenticated("Sign in first: signIn, signUp or signInAsGuest, or an API token.")
    return viewer


def require(viewer: Viewer | None, scope: TokenScope) -> Viewer:
    """Return the viewer if they are signed in with this scope."""
    viewer = signed_in(viewer)
    if scope not in viewer.scopes:
        raise Forbidden(f"This API token lacks the scope {scope}. Use one that was made with it.")
    return viewer


def person(viewer: Viewer | None) -> Viewer:
    """Return the viewer if they are a person in a browser, not a program with a token."""
    viewer = signed_in(viewer)
    if viewer.login_id is None:
        raise Forbidden("An API token can't do this. Sign in in a browser instead.")
    return viewer


def check_id(value: str, kind: str, what: str, field: Field) -> str:
    """Return an identifier of this kind; refuse anything else before it reaches the database."""
    if ids.kind_of(value) != kind:
        raise BadUserInput(
            f"That is not the id of {what}: those begin with {kind}_ and have "
            f"{ids.LENGTH} characters.",
            field=field,
        )
    return value


async def owned_session(
    viewer: Viewer | None,
    session_id: str,
    conn: Connection | None = None,
    *,
    scope: TokenScope,
    field: Field = ("sessionId",),
) -> Session:
    """Read one of the viewer's own sessions; every access to a session goes through here.

    With a transaction's connection, the row is locked until the transaction ends. `scope` has no
    default: it depends on what the caller does with the session.
    """
    viewer = require(viewer, scope)
    check_id(session_id, ids.SESSION, "a session", field)
    if conn is None:
        session = await sessions.get(reader(), session_id)
    else:
        session = await sessions.locked(conn, session_id)
    if session is None or session.deleted_at is not None:
        raise NotFound("This session doesn't exist. It may have been deleted.", field=field)
    return own(viewer, session, field)


def own(viewer: Viewer, session: S, field: Field = ("sessionId",)) -> S:
    """Return the session if it is the viewer's."""
    if session.user_id != viewer.user_id:
        raise Forbidden("This session belongs to someone else.", field=field)
    return session
