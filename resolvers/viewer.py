"""The user or program that makes a request, and what it may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TokenScope(StrEnum):
    """What an API token may do with its owner's conversations; a login may do everything."""

    SESSIONS_READ = "SESSIONS_READ"
    SESSIONS_WRITE = "SESSIONS_WRITE"
    SESSIONS_DELETE = "SESSIONS_DELETE"


ALL_SCOPES = frozenset(TokenScope)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user behind a login or a token; exactly one of `login_id` and `token_id` is set."""

    user_id: str
    is_guest: bool
    login_id: str | None
    token_id: str | None
    scopes: frozenset[TokenScope]
    expires_at: datetime | None
    """When this access expires; None for a token that does not."""

    @property
    def access_id(self) -> str:
        """The id of the login or token, for revoking the access."""
        access_id = self.login_id or self.token_id
        if access_id is None:
            raise ValueError("A viewer has a login or a token.")
        return access_id
