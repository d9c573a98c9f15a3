"""Limits on what people and programs may send, with an error message for each."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import email_validator

from resolvers.refusals import BadUserInput

MESSAGES: Final = 10_000
TEXT_BYTES: Final = 32 * 1024
KEY_LENGTH: Final = 128
TITLE_LENGTH: Final = 200
AGENT_NAME_LENGTH: Final = 128
EMAIL_LENGTH: Final = 254
PASSWORD_LENGTHS: Final = (8, 256)
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)

# Unicode's general categories: https://www.unicode.org/reports/tr44/#General_Category_Values
_UNSHOWN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of surrogate pairs, and ends of lines and paragraphs."""
_UNSEEN: Final = frozenset({"Cf", "Zs"})
"""Format characters and spaces: a name of nothing else is blank."""

Field = Sequence[str | int]


def fault_of_text(text: str) -> str | None:
    """Return why this text can't be stored, or None; the bridge and GraphQL share the rules."""
    if not text.strip():
        return "must not be blank"
    if "\0" in text:
        return "must not contain a NUL character"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "must be valid Unicode: it contains half of a surrogate pair"
    if size > TEXT_BYTES:
        return f"must be at most {TEXT_BYTES:,} bytes of UTF-8, not {size:,}"
    return None


def fault_of_key(key: str) -> str | None:
    """Return what is wrong with an utterance's key, or None."""
    if not 1 <= len(key) <= KEY_LENGTH or not key.isprintable():
        return f"must be 1 to {KEY_LENGTH} printable characters"
    return None


def check_text(value: str, field: Field) -> str:
    """Return the text unchanged, or refuse it."""
    if fault := fault_of_text(value):
        raise BadUserInput(f"The text {fault}.", field=field)
    return value


def check_key(value: str, field: Field) -> str:
    """Return the key unchanged, or refuse it."""
    if fault := fault_of_key(value):
        raise BadUserInput(f"The key {fault}.", field=field)
    return value


def fault_of_name(name: str, length: int) -> str | None:
    """Return why this can't be a name on one line, or None.

    `str.isprintable` won't do: it is false for characters that many languages need (joiners,
    direction marks, wide spaces), and for every emoji that is newer than this Python.
    """
    # Check a bounded prefix; input may be megabytes, and everybody waits meanwhile.
    kinds = {unicodedata.category(character) for character in name[: length + 1]}
    is_blank = not name.strip() or kinds <= _UNSEEN
    if is_blank or len(name) > length or kinds & _UNSHOWN:
        return f"is 1 to {length} characters on one line, without control characters"
    return None


def check_title(value: str, field: Field) -> str:
    """Return the title without surrounding white space, or refuse it."""
    title = value.strip()
    if fault := fault_of_name(title, TITLE_LENGTH):
        raise BadUserInput(f"A title {fault}.", field=field)
    return title


def check_agent_name(value: str, field: Field) -> str:
    """Return the agent's name unchanged, or refuse it."""
    if not 1 <= len(value) <= AGENT_NAME_LENGTH or not value.isprintable():
        raise BadUserInput(
            f"An agent's name is 1 to {AGENT_NAME_LENGTH} printable characters.", field=field
        )
    return value


def check_timestamp(value: datetime, now: datetime, field: Field) -> datetime:
    """Return the time unchanged, or refuse one outside of 1970 to a day ahead."""
    if not EARLIEST <= value <= now + AHEAD:
        raise BadUserInput("A timestamp lies between 1970 and a day from now.", field=field)
    return value


def check_email(value: str, field: Field) -> str:
    """Return the address as it is compared, or refuse it.

    Only the form `something@something` is checked, so that every existing account can sign in.
    """
    email = value.strip().casefold()
    name, at, host = email.rpartition("@")
    if (
        len(email) > EMAIL_LENGTH
        or not (name and at and host)
        or not email.isprintable()
        or any(c.isspace() for c in email)
    ):
        raise BadUserInput(
            f"Enter a valid e-mail address of up to {EMAIL_LENGTH} characters.", field=field
        )
    return email


# Companies use .local for mail, and trial accounts use .test.
for _allowed in ("local", "test"):
    email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_allowed)


def check_new_email(value: str, field: Field) -> list[str]:
    """Return the addresses that a new account would be known by, or refuse it. No server is asked.

    The first is the one to store: it is the same however its host is written (capitals, `xn--…`).
    The second, if there is one, is what was typed: an account from before addresses were checked
    may have it. International addresses are allowed. Only sending mail would show whether anybody
    reads it.
    """
    as_typed = check_email(value, field)
    try:
        found = email_validator.validate_email(value.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError:
        raise BadUserInput(
            "Enter a valid e-mail address. Check this one for typos.", field=field
        ) from None
    # Case folding may undo NFC.
    kept = check_email(unicodedata.normalize("NFC", found.normalized.casefold()), field)
    return list(dict.fromkeys((kept, as_typed)))


def check_known_email(value: str, field: Field) -> list[str]:
    """Return the addresses that an existing account may be known by, or refuse it.

    An address that is invalid for a new account may belong to one from before they were checked.
    """
    try:
        return check_new_email(value, field)
    except BadUserInput:
        return [check_email(value, field)]


def check_password(value: str, field: Field) -> str:
    """Return the password unchanged, or refuse it."""
    low, high = PASSWORD_LENGTHS
    if not low <= len(value) <= high or fault_of_text(value):
        raise BadUserInput(f"Use a password of {low} to {high} characters.", field=field)
    return value
