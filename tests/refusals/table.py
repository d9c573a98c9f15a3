"""The table of refusals: a row for each case, by root field."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from resolvers.limits import MESSAGES, TEXT_BYTES
from tests.refusals.conftest import ADA

Path = tuple[str | int, ...]

OPERATIONS: Final = {
    "startNewChat": "mutation($i: StartNewChatInput!) { startNewChat(input: $i) "
    "{ session { id } } }",
    "saveSession": "mutation($i: SaveSessionInput!) { saveSession(input: $i) { isSaved } }",
    "joinSession": "mutation($i: JoinSessionInput!) { joinSession(input: $i) "
    "{ connection { token } } }",
    "retryAgent": "mutation($i: RetryAgentInput!) { retryAgent(input: $i) "
    "{ connection { token } } }",
    "sendMessage": "mutation($i: SendMessageInput!) { sendMessage(input: $i) "
    "{ utterance { id } } }",
    "renameSession": "mutation($i: RenameSessionInput!) { renameSession(input: $i) "
    "{ session { id } } }",
    "deleteSession": "mutation($i: DeleteSessionInput!) { deleteSession(input: $i) "
    "{ deletedSessionId } }",
    "signUp": "mutation($i: SignUpInput!) { signUp(input: $i) { viewer { id } } }",
    "signIn": "mutation($i: SignInInput!) { signIn(input: $i) { viewer { id } } }",
    "signInAsGuest": "mutation { signInAsGuest { viewer { id } } }",
    "signOut": "mutation { signOut { isSignedOut } }",
    "createApiToken": "mutation($i: CreateApiTokenInput!) { createApiToken(input: $i) { secret } }",
    "revokeApiToken": "mutation($i: RevokeApiTokenInput!) { revokeApiToken(input: $i) "
    "{ revokedApiTokenId } }",
    "transcripts": "subscription($sessionId: ID!, $after: String) "
    "{ transcripts(sessionId: $sessionId, after: $after) { cursor } }",
    "sessionUpdates": "subscription($sessionId: ID) "
    "{ sessionUpdates(sessionId: $sessionId) { session { id } } }",
}
STREAMS: Final = frozenset({"transcripts", "sessionUpdates"})
ENTRANCES: Final = frozenset({"signUp", "signIn", "signInAsGuest"})
"""Mutations that set a cookie, which a WebSocket can't."""

OWNER, NOBODY, STRANGER, PROGRAM = "owner", "nobody", "stranger", "program"
"""The callers; the program has the owner's API token, which may only read."""


@dataclass(frozen=True)
class Row:
    """One refusal."""

    of: str
    when: str
    given: dict[str, Any]
    code: str
    field: Path | None = None
    who: str = OWNER

    def __str__(self) -> str:
        return f"{self.of} {self.when}"


def _message(
    key: str = "k", text: str = "t", timestamp: object = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    return {"key": key, "role": "USER", "text": text, "timestamp": timestamp}


# Read at collection, so it must still be too far ahead when a long run gets to it.
_AHEAD: Final = (datetime.now(UTC) + timedelta(days=1, hours=6)).isoformat()
_LONG: Final = "é" * (TEXT_BYTES // 2) + "x"
_BAD_TEXTS: Final = {
    "empty": "",
    "blank": " \n\t\u2003",
    "with a NUL": "a\0b",
    "with half a surrogate pair": "half \ud83d",
    "of 32 KiB and a byte": _LONG,
}
_BAD_KEYS: Final = {
    "empty": "",
    "of 129 characters": "k" * 129,
    "of two lines": "a\nb",
    "with a NUL": "a\0b",
    "with half a surrogate pair": "half \ud83d",
}
_BAD_TITLES: Final = {
    "empty": "",
    "blank": "  ",
    "of 201 characters": "x" * 201,
    "of two lines": "a\nb",
    "with half a surrogate pair": "half \ud83d",
}
_BAD_TIMES: Final = {
    "before 1970": "1969-12-31T23:59:59Z",
    "long before 1970": "0001-01-01T00:00:00Z",
    "more than a day ahead": _AHEAD,
    "in the far future": "9999-12-31T23:59:59Z",
}


def _sessions(of: str, field: Path, given: dict[str, Any]) -> Iterator[Row]:
    """Yield cases of callers and session ids; `given` is the rest of the input, all valid."""

    def with_id(session_id: str) -> dict[str, Any]:
        *outer, last = (str(part) for part in field)
        inner = {**given, last: session_id}
        for name in reversed(outer):
            inner = {name: inner}
        return inner

    yield Row(of, "signed out", with_id("@mine"), "UNAUTHENTICATED", who=NOBODY)
    yield Row(of, "signed out, with a bad id", with_id("nonsense"), "UNAUTHENTICATED", who=NOBODY)
    yield Row(of, "of somebody else's session", with_id("@theirs"), "FORBIDDEN", field)
    yield Row(of, "by somebody else", with_id("@mine"), "FORBIDDEN", field, who=STRANGER)
    yield Row(of, "of an unknown session", with_id("@unknown"), "NOT_FOUND", field)
    yield Row(of, "of a malformed id", with_id("ses_nonsense"), "BAD_USER_INPUT", field)
    yield Row(of, "of an empty id", with_id(""), "BAD_USER_INPUT", field)
    yield Row(of, "of an id with a NUL", with_id("ses_\0"), "BAD_USER_INPUT", field)
    yield Row(of, "of half a surrogate pair", with_id("\ud83d" * 30), "BAD_USER_INPUT", field)
    yield Row(of, "of another kind of id", with_id("@user"), "BAD_USER_INPUT", field)
    if field[0] != "previous":
        yield Row(of, "of a deleted session", with_id("@deleted"), "NOT_FOUND", field)
    if of not in STREAMS:
        yield Row(of, "by a token without the scope", with_id("@mine"), "FORBIDDEN", who=PROGRAM)


def _messages(of: str, field: Path) -> Iterator[Row]:
    def of_messages(*messages: dict[str, Any]) -> dict[str, Any]:
        inner: dict[str, Any] = {"sessionId": "@mine", "messages": list(messages)}
        return {"previous": inner} if field[0] == "previous" else inner

    def bad(when: str, message: dict[str, Any], name: str) -> Row:
        given = of_messages(_message("good"), message)
        return Row(of, f"with a {name} {when}", given, "BAD_USER_INPUT", (*field, 1, name))

    for when, text in _BAD_TEXTS.items():
        yield bad(when, _message(text=text), "text")
    for when, key in _BAD_KEYS.items():
        yield bad(when, _message(key=key), "key")
    for when, moment in _BAD_TIMES.items():
        yield bad(when, _message(timestamp=moment), "timestamp")
    yield bad("twice", _message("good"), "key")
    many = [_message(f"k{index}") for index in range(MESSAGES + 1)]
    yield Row(of, "with 10,001 messages", of_messages(*many), "BAD_USER_INPUT", field)
    wrongs: dict[str, dict[str, Any]] = {
        "an unknown role": {"role": "NARRATOR"},
        "no role": {"role": None},
        "a time that is none": {"timestamp": "yesterday"},
        "a time without an offset": {"timestamp": "2026-01-01T00:00:00"},
        "a time of half a millisecond": {"timestamp": 1.5},
        "a key that is no string": {"key": 1},
    }
    for when, wrong in wrongs.items():
        given = of_messages({**_message(), **wrong})
        yield Row(of, f"with {when}", given, "BAD_USER_INPUT")


def _start_new_chat() -> Iterator[Row]:
    of = "startNewChat"
    yield from _sessions(of, ("previous", "sessionId"), {})
    yield from _messages(of, ("previous", "messages"))
    for when, title in _BAD_TITLES.items():
        yield Row(of, f"with a title {when}", {"title": title}, "BAD_USER_INPUT", ("title",))
    for when, name in {**_BAD_KEYS, "nobody has": "nobody"}.items():
        given = {"previous": {"sessionId": "@mine"}, "agentName": name}
        yield Row(of, f"with an agent {when}", given, "BAD_USER_INPUT", ("agentName",))
    for when, key in _BAD_KEYS.items():
        given = {"idempotencyKey": key}
        yield Row(of, f"with a key {when}", given, "BAD_USER_INPUT", ("idempotencyKey",))
    given = {"title": "Two", "idempotencyKey": "used"}
    yield Row(of, "with a used key", given, "CONFLICT", ("idempotencyKey",))
    yield Row(of, "one time too many", {}, "QUOTA_EXCEEDED")
    yield Row(of, "without anything, signed out", {}, "UNAUTHENTICATED", who=NOBODY)
    yield Row(of, "by a token that may only read", {}, "FORBIDDEN", who=PROGRAM)


def _conversations() -> Iterator[Row]:
    mine = {"sessionId": "@mine"}
    yield from _sessions("saveSession", ("sessionId",), {"messages": [_message()]})
    yield from _messages("saveSession", ("messages",))
    for of in ("joinSession", "retryAgent", "deleteSession"):
        yield from _sessions(of, ("sessionId",), {})
    for of, which in (
        ("joinSession", "@ended"),
        ("retryAgent", "@ended"),
        ("retryAgent", "@mine"),
        ("retryAgent", "@starting"),
    ):
        yield Row(of, f"of {which[1:]}", {"sessionId": which}, "CONFLICT", ("sessionId",))
    failed = {"sessionId": "@failed"}
    yield Row("joinSession", "of failed", failed, "AGENT_UNAVAILABLE", ("sessionId",))
    yield from _sessions("sendMessage", ("sessionId",), {"key": "new", "text": "t"})
    for when, text in _BAD_TEXTS.items():
        given = {**mine, "key": "new", "text": text}
        yield Row("sendMessage", f"of a text {when}", given, "BAD_USER_INPUT", ("text",))
    for when, key in _BAD_KEYS.items():
        given = {**mine, "key": key, "text": "t"}
        yield Row("sendMessage", f"under a key {when}", given, "BAD_USER_INPUT", ("key",))
    for key in ("typed", "spoken"):
        given = {**mine, "key": key, "text": "another"}
        yield Row("sendMessage", f"under the key {key}", given, "CONFLICT", ("key",))
    for which in ("@starting", "@failed", "@ended"):
        given = {"sessionId": which, "key": "new", "text": "t"}
        yield Row("sendMessage", f"to {which[1:]}", given, "CONFLICT", ("sessionId",))
    yield from _sessions("renameSession", ("sessionId",), {"title": "x"})
    for when, title in _BAD_TITLES.items():
        given = {**mine, "title": title}
        yield Row("renameSession", f"to a title {when}", given, "BAD_USER_INPUT", ("title",))


def _streams() -> Iterator[Row]:
    yield from _sessions("transcripts", ("sessionId",), {})
    yield from _sessions("sessionUpdates", ("sessionId",), {})
    yield Row("sessionUpdates", "of all, signed out", {}, "UNAUTHENTICATED", who=NOBODY)
    for when, cursor in {
        "of another session": "@their cursor",
        "from the future": "@future cursor",
        "that is empty": "",
        "that is nonsense": "nonsense",
        "with half a surrogate pair": "\ud83d",
        "of 100,000 characters": "A" * 100_000,
    }.items():
        given = {"sessionId": "@mine", "after": cursor}
        yield Row("transcripts", f"after a cursor {when}", given, "BAD_USER_INPUT", ("after",))


_BAD_EMAILS: Final = {
    "without an at sign": "ada",
    "without a host": "ada@",
    "without a name": "@example.com",
    "with a space": "a da@example.com",
    "with half a surrogate pair": "\ud83d@example.com",
    "of 255 characters": "a" * (255 - len("@example.com")) + "@example.com",
}
_BAD_PASSWORDS: Final = {
    "of 7 characters": "x" * 7,
    "of 257 characters": "x" * 257,
    "with half a surrogate pair": "correct \ud83d",
}


def _accounts() -> Iterator[Row]:
    for of in ("signUp", "signIn"):
        for when, email in _BAD_EMAILS.items():
            given = {"email": email, "password": "long enough"}
            yield Row(of, f"with an e-mail {when}", given, "BAD_USER_INPUT", ("email",), NOBODY)
        for when, password in _BAD_PASSWORDS.items():
            given = {"email": "bob@example.com", "password": password}
            yield Row(of, f"with a password {when}", given, "BAD_USER_INPUT", ("password",), NOBODY)
        yield Row(of, "by a program", ADA, "FORBIDDEN", who=PROGRAM)
    nowhere = {"email": "ada@example", "password": "long enough"}
    yield Row("signUp", "at a host without a dot", nowhere, "BAD_USER_INPUT", ("email",), NOBODY)
    guessed = {"email": "bob@example.com", "password": "12345678"}
    when = "with a password that others would guess"
    yield Row("signUp", when, guessed, "BAD_USER_INPUT", ("password",), NOBODY)
    yield Row("signUp", "with a taken e-mail", ADA, "CONFLICT", ("email",), NOBODY)
    yield Row("signUp", "of a guest with a taken e-mail", ADA, "CONFLICT", ("email",), OWNER)
    for email in (ADA["email"], "nobody@example.com"):
        wrong = {"email": email, "password": "wrong password", "claimGuestSessions": True}
        yield Row("signIn", f"as {email}, wrongly", wrong, "UNAUTHENTICATED", None, OWNER)
    yield Row("signInAsGuest", "by a program", {}, "FORBIDDEN", who=PROGRAM)
    yield Row("signOut", "by a program", {}, "FORBIDDEN", who=PROGRAM)


def _tokens() -> Iterator[Row]:
    good: dict[str, Any] = {"name": "t", "scopes": ["SESSIONS_READ"]}
    of = "createApiToken"
    yield Row(of, "signed out", good, "UNAUTHENTICATED", who=NOBODY)
    yield Row(of, "by a program", good, "FORBIDDEN", who=PROGRAM)
    for when, name in _BAD_TITLES.items():
        given = {**good, "name": name}
        yield Row(of, f"with a name {when}", given, "BAD_USER_INPUT", ("name",))
    given = {**good, "scopes": []}
    yield Row(of, "without a scope", given, "BAD_USER_INPUT", ("scopes",))
    yield Row(of, "with an unknown scope", {**good, "scopes": ["ALL"]}, "BAD_USER_INPUT")
    given = {**good, "expiresAt": "1970-01-01T00:00:00Z"}
    yield Row(of, "that has expired", given, "BAD_USER_INPUT", ("expiresAt",))

    of, field = "revokeApiToken", ("id",)
    yield Row(of, "signed out", {"id": "@token"}, "UNAUTHENTICATED", who=NOBODY)
    yield Row(of, "by a program", {"id": "@token"}, "FORBIDDEN", who=PROGRAM)
    yield Row(of, "of somebody else's", {"id": "@their token"}, "FORBIDDEN", field)
    yield Row(of, "by somebody else", {"id": "@token"}, "FORBIDDEN", field, who=STRANGER)
    yield Row(of, "of an unknown token", {"id": "@unknown token"}, "NOT_FOUND", field)
    yield Row(of, "of a malformed id", {"id": "tok_nonsense"}, "BAD_USER_INPUT", field)
    yield Row(of, "of another kind of id", {"id": "@mine"}, "BAD_USER_INPUT", field)


ROWS: Final = [
    *_start_new_chat(),
    *_conversations(),
    *_streams(),
    *_accounts(),
    *_tokens(),
]
