"""Everything a use case may refuse, each with its stable code and the facts a person needs."""

from collections.abc import Sequence
from typing import ClassVar


class Refusal(Exception):
    """An expected refusal: nothing was written, and the message tells the person what to do."""

    code: ClassVar[str]

    def __init__(self, message: str, *, field: Sequence[str | int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = list(field) if field is not None else None
        """Path to the input at fault, as in `["messages", 3, "text"]`."""


class BadUserInput(Refusal):
    """What REST calls 400."""

    code = "BAD_USER_INPUT"


class Unauthenticated(Refusal):
    """Nobody is signed in, or the credentials are wrong, expired or revoked (401)."""

    code = "UNAUTHENTICATED"


class Forbidden(Refusal):
    """It is somebody else's, or the token's scopes do not reach it (403)."""

    code = "FORBIDDEN"


class NotFound(Refusal):
    """There is no such thing (404)."""

    code = "NOT_FOUND"


class Conflict(Refusal):
    """It contradicts what is already there."""

    code = "CONFLICT"


class RateLimited(Refusal):
    """Too many tries, or too much work; the message says when the next may come."""

    code = "RATE_LIMITED"

    def __init__(
        self, message: str, retry_after: int = 60, *, field: Sequence[str | int] | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after
        """Seconds."""


class QuotaExceeded(Refusal):
    """The account has as much of this as it may have."""

    code = "QUOTA_EXCEEDED"


class AgentUnavailable(Refusal):
    """There is no agent to hand this to."""

    code = "AGENT_UNAVAILABLE"
