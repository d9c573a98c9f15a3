"""TypeIDs: identifiers that say what they name and sort by the time they were made."""

from typing import Final

from typeid import TypeID
from typeid.errors import TypeIDException

USER: Final = "usr"
SESSION: Final = "ses"
UTTERANCE: Final = "utt"
API_TOKEN: Final = "tok"  # noqa: S105 - a prefix, not a secret
LOGIN: Final = "log"

LENGTH: Final = 30
"""Characters of every identifier: a prefix of three letters, an underscore, 26 of base 32."""


def new(kind: str) -> str:
    """Make an identifier of this kind, with a UUIDv7 inside (TypeID specification 0.3)."""
    return str(TypeID(prefix=kind))


def kind_of(value: str) -> str | None:
    """Return the kind that an identifier names, or None if it is not a well-formed identifier."""
    if len(value) != LENGTH:
        return None
    try:
        parsed = TypeID.from_string(value)
    except TypeIDException:
        return None
    # Decoding forgives what encoding never makes (upper case, for one); an id has one spelling.
    return parsed.prefix if str(parsed) == value else None


# Named functions, because a migration can't be written down with a lambda in it.


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
