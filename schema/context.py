"""What an operation knows: who asks, over what, and the loaders that batch its reads."""

from dataclasses import dataclass
from functools import cached_property

import strawberry

from agent_bridge.server.tokens import KnownBrowser
from resolvers.accounts import authentication
from resolvers.accounts.login import NewLogin
from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, Forbidden
from resolvers.viewer import Viewer
from schema.loaders import Loaders
from schema.texts import TextBudget


@dataclass(frozen=True)
class Request:
    """Who sent an operation and by what way."""

    viewer: Viewer | None
    is_websocket: bool = False
    is_foreign: bool = False
    """Whether a page of another origin sent it; such a page gets no cookie from us."""
    address: str | None = None
    """The client's network address, by which tries to sign in are counted."""
    browser: KnownBrowser | None = None
    """Whose browser it is known as, from a sign-in before."""


def spend(backend: Backend, request: Request, points: int) -> None:
    """Take what an operation costs of the budget of who sent it.

    Raises:
        RateLimited: it is used up for now.
    """
    if backend.budgets is None:
        return
    if request.viewer is not None:
        backend.budgets.spend(points, request.viewer.user_id)
    else:
        backend.budgets.spend_from(points, request.address)


class Context:
    """One operation's own; made anew for each, also on a WebSocket that carries many."""

    def __init__(
        self,
        backend: Backend,
        request: Request,
        *,
        remember: bool = False,
        is_answer: bool = True,
    ) -> None:
        self.backend = backend
        self.request = request
        self.viewer = request.viewer
        """Who asks; None when nobody is signed in. Changes when the operation signs in or out."""
        self._remember = remember
        self.texts = TextBudget() if is_answer else None
        """None for a subscription: how much an event carries is limited where it is made."""
        self.new_login: NewLogin | None = None
        self.has_left = False

    @cached_property
    def loaders(self) -> Loaders:
        """Batched reads. Only a query's remember: a mutation or an event changes what was read."""
        return Loaders(self.backend, self.viewer, remember=self._remember)

    def viewer_signing_in(self) -> Viewer | None:
        """Return who asks to sign in.

        Raises:
            BadUserInput: over a WebSocket, where no cookie can be set.
            Forbidden: from a page of another origin.
        """
        if self.request.is_websocket:
            raise BadUserInput(
                "Signing in sets a cookie, which a WebSocket can't. Send this by HTTP POST."
            )
        if self.request.is_foreign:
            raise Forbidden(
                "Pages of another origin can't sign anybody in. Open this server by its public "
                f"URL, {self.backend.config.public_url}, or use an API token (Authorization: "
                "Bearer …)."
            )
        return self.viewer

    async def enter(self, new_login: NewLogin) -> NewLogin:
        """Have the response set the login's cookie; what follows is done for the new viewer."""
        self.new_login, self.has_left = new_login, False
        self._become(await authentication.viewer_of_login(self.backend, new_login.secret))
        return new_login

    def leave(self) -> None:
        """Have the response clear the login's cookie; what follows is done for nobody."""
        self.new_login, self.has_left = None, True
        self._become(None)

    def _become(self, viewer: Viewer | None) -> None:
        self.viewer = viewer
        # What was loaded was loaded for somebody else.
        self.__dict__.pop("loaders", None)


Info = strawberry.Info[Context, None]
