"""The context of an operation: its viewer, its transport, and the loaders that batch its reads."""

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
    """The sender of an operation and its transport."""

    viewer: Viewer | None
    is_websocket: bool = False
    is_foreign: bool = False
    """Whether a page of another origin sent it; such a page never gets a cookie."""
    address: str | None = None
    """The client's network address, for rate limits."""
    browser: KnownBrowser | None = None
    """The browser that sent it, if it is known from an earlier sign-in."""


def spend(backend: Backend, request: Request, points: int) -> None:
    """Charge an operation's points to its sender's budget.

    Raises:
        RateLimited: when the budget is used up for now.
    """
    if backend.budgets is None:
        return
    if request.viewer is not None:
        backend.budgets.spend(points, request.viewer.user_id)
    else:
        backend.budgets.spend_from(points, request.address)


class Context:
    """The context of one operation; operations on the same WebSocket don't share it."""

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
        """None when nobody is signed in. Changes when the operation signs in or out."""
        self._remember = remember
        self.texts = TextBudget() if is_answer else None
        """None for a subscription: the size of an event is limited where it is made."""
        self.new_login: NewLogin | None = None
        self.has_left = False

    @cached_property
    def loaders(self) -> Loaders:
        """Batched reads. Only a query caches them: mutations and events change what was read."""
        return Loaders(self.viewer, self.backend.connections, remember=self._remember)

    def viewer_signing_in(self) -> Viewer | None:
        """Return the current viewer, if this request may sign in.

        Raises:
            BadUserInput: when it came over a WebSocket, where no cookie can be set.
            Forbidden: when it came from a page of another origin.
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
        """Have the response set the login cookie; fields after this one run as the new viewer."""
        self.new_login, self.has_left = new_login, False
        self._become(await authentication.viewer_of_login(self.backend.clock, new_login.secret))
        return new_login

    def leave(self) -> None:
        """Have the response clear the login cookie; fields after this one run without a viewer."""
        self.new_login, self.has_left = None, True
        self._become(None)

    def _become(self, viewer: Viewer | None) -> None:
        self.viewer = viewer
        # The old loaders read as the previous viewer.
        self.__dict__.pop("loaders", None)


Info = strawberry.Info[Context, None]
