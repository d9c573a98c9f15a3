"""Errors with which use cases refuse, each with a stable code and what a person needs to know."""

from collections.abc import Sequence
from typing import ClassVar


class Refusal(Exception):
    """An expected refusal: nothing was written, and the message tells the person what to do."""

    code: ClassVar[str]

    def __init__(self, message: str, *, field: Sequence[str | int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = list(field) if field is not None else None
        """Path to the invalid input, as in `["messages", 3, "text"]`."""


class BadUserInput(Refusal):
    """The input is invalid (400)."""

    code = "BAD_USER_INPUT"


class Unauthenticated(Refusal):
    """Nobody is signed in, or the credentials are wrong, expired or revoked (401)."""

    code = "UNAUTHENTICATED"


class Forbidden(Refusal):
    """It belongs to somebody else, or the token's scopes don't cover it (403)."""

    code = "FORBIDDEN"


class NotFound(Refusal):
    """It does not exist (404)."""

    code = "NOT_FOUND"


class Conflict(Refusal):
    """It contradicts the present state."""

    code = "CONFLICT"


class RateLimited(Refusal):
    """Too many attempts, or too much work; the message says when to try again."""

    code = "RATE_LIMITED"

    def __init__(
        self, message: str, retry_after: int = 60, *, field: Sequence[str | int] | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after
        """Seconds."""


class QuotaExceeded(Refusal):
    """The account has reached its limit for this."""

    code = "QUOTA_EXCEEDED"


class AgentUnavailable(Refusal):
    """There is no agent to hand this to."""

    code = "AGENT_UNAVAILABLE"
