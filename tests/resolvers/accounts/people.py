"""Ada, who has an account, and guests."""

from hub.subscription import HubSubscription
from resolvers.accounts import authentication
from resolvers.accounts.login import NewLogin
from resolvers.backend import Backend
from resolvers.viewer import TokenScope, Viewer

EMAIL = "ada@example.com"
PASSWORD = "correct horse"

TOKEN = Viewer("usr_x", True, None, "tok_x", frozenset({TokenScope.SESSIONS_READ}), None)


async def viewer_of(backend: Backend, new_login: NewLogin) -> Viewer:
    """Return who a new login belongs to."""
    viewer = await authentication.viewer_of_login(backend.clock, new_login.secret)
    assert viewer is not None
    return viewer


async def new_guest(backend: Backend) -> Viewer:
    """Sign in as a guest."""
    return await viewer_of(backend, await backend.authentication.sign_in_as_guest(None))


async def new_ada(backend: Backend) -> Viewer:
    """Sign up as Ada."""
    new_login = await backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD)
    return await viewer_of(backend, new_login)


def events_of(subscription: HubSubscription) -> list[object]:
    """Return the events that have arrived."""
    events = []
    while (event := subscription.take()) is not None:
        events.append(event)
    return events
