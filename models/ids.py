"""TypeIDs: identifiers that name their kind and sort by creation time."""

from typing import Final

from typeid import TypeID
from typeid.errors import TypeIDException

USER: Final = "usr"
SESSION: Final = "ses"
UTTERANCE: Final = "utt"
API_TOKEN: Final = "tok"  # noqa: S105 - a prefix, not a secret
LOGIN: Final = "log"

LENGTH: Final = 30
"""Length of every identifier: a three-letter prefix, an underscore, 26 base 32 characters."""


def new(kind: str) -> str:
    """Make an identifier of this kind, with a UUIDv7 inside (TypeID specification 0.3)."""
    return str(TypeID(prefix=kind))


def kind_of(value: str) -> str | None:
    """Return the kind that an identifier names, or None if it is malformed."""
    if len(value) != LENGTH:
        return None
    try:
        parsed = TypeID.from_string(value)
    except TypeIDException:
        return None
    # Decoding also accepts spellings that encoding never produces (upper case, for one); each id
    # has only one spelling.
    return parsed.prefix if str(parsed) == value else None


# Named functions, because migrations can't contain lambdas.


def new_user() -> str:
    """Make an identifier for a user."""
    return new(USER)


def new_session() -> str:
    """Make an identifier for a session."""
    return new(SESSION)


def new_utterance() -> str:
    """Make an identifier for an utterance."""
    return new(UTTERANCE)


def new_api_token() -> str:
    """Make an identifier for an API token."""
    return new(API_TOKEN)


def new_login() -> str:
    """Make an identifier for a login."""
    return new(LOGIN)
