"""Nobody's operations block others: limits on work, time and size."""

import itertools
import time

import pytest

from models import turns
from models.tables import User, Utterance
from models.turns import Turns
from resolvers.accounts.rate_limits import Budgets
from resolvers.backend import Backend
from schema import texts
from schema.mutations import saving
from tests.rows import add_session
from tests.schema.clients import Http, Socket

HISTORY = "{ sessionHistory(first: 100) { nodes { id title status preview version } } }"
"""This query costs 1,202 points."""
TRANSCRIPT = "query($id: ID!) { session(id: $id) { utterances { nodes { %s } } } }"


def budget(backend: Backend, per_minute: int) -> None:
    now = backend.clock()
    backend.budgets = Budgets(lambda: now, per_minute)


async def owner(guest: Http) -> User:
    found = await guest.data("{ viewer { id } }")
    return await User.get(id=found["viewer"]["id"])


async def test_who_has_asked_for_too_much_is_told_when_to_go_on(
    guest: Http, stranger: Http, backend: Backend
) -> None:
    """Retry-After says so too; small operations and other viewers are unaffected."""
    budget(backend, 1_500)
    for _ in range(2):
        assert "errors" not in (await guest.post(HISTORY)).json()

    refused = await guest.post(HISTORY)

    [error] = refused.json()["errors"]
    assert refused.status_code == 429
    assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 25}
    assert error["message"] == "Too many requests at once. Try again in 25 seconds."
    assert refused.headers["retry-after"] == "25"
    await guest.data("{ viewer { id } }")
    await stranger.data(HISTORY)


async def test_a_socket_spends_of_the_same_budget(guest: Http, url: str, backend: Backend) -> None:
    """All sockets of a viewer share one budget."""
    budget(backend, 1_500)
    await guest.data(HISTORY)
    async with Socket(url, cookie=guest.cookie) as socket:
        await socket.init()
        await socket.subscribe(HISTORY)
        await socket.next()
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe(HISTORY, id="2")
        error = await socket.error("2")
    assert error["extensions"]["code"] == "RATE_LIMITED"


async def test_who_has_not_signed_in_spends_by_address(client: Http, backend: Backend) -> None:
    """This includes introspection, which anyone may request."""
    budget(backend, 1_000)
    query = "{ __schema { types { name description fields { name description } } } }"
    answers = [await client.post(query) for _ in range(3)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert "data" in answers[0].json()


async def test_an_answer_holds_so_much_text(guest: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text counts each time it is selected, at any utterance, before the answer is built."""
    monkeypatch.setattr(texts, "MAX_TEXT", 1_000)
    session = await add_session(await owner(guest), *["x" * 100] * 5)
    variables = {"id": session.id}

    await guest.data(TRANSCRIPT % "text", variables)
    await guest.data(TRANSCRIPT % "a: text b: text", variables)
    for query in (
        TRANSCRIPT % "a: text b: text c: text",
        TRANSCRIPT % "a: text ...T" + " fragment T on Utterance { b: text ... { c: text } }",
        "query($id: ID!) { session(id: $id) { one: utterances { nodes { text } } "
        "two: utterances { nodes { text } } three: utterances { edges { node { text } } } } }",
    ):
        [error] = (await guest.post(query, variables)).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert "MiB of text" in error["message"]
    # This includes utterances by id, whose type is resolved first, and search matches.
    [one] = await Utterance.filter(session_id=session.id).limit(1)
    by_id = "query($id: ID!) { node(id: $id) { ... on Utterance { %s } } }"
    await guest.data(by_id % " ".join(f"t{n}: text" for n in range(10)), {"id": one.id})
    snippets = " ".join(f"s{n}: snippet" for n in range(11))
    filtered = 'sessionHistory(filter: {search: "xxx"})'
    found = f"{{ {filtered} {{ edges {{ match {{ {snippets} }} }} }} }}"
    assert "MiB of text" in (await guest.post(found)).json()["errors"][0]["message"]
    marked = 'utterances(search: "xxx") { edges { a: marked b: marked } }'
    within = f"query($id: ID!) {{ session(id: $id) {{ {marked} }} }}"
    assert "MiB of text" in (await guest.post(within, variables)).json()["errors"][0]["message"]
    # An utterance without its text counts nothing.
    await guest.data(TRANSCRIPT % "id key role", variables)


async def test_conflicts_end_before_they_are_too_long(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completed save is not refused for the size of its response."""
    monkeypatch.setattr(texts, "MAX_TEXT", 500)
    monkeypatch.setattr(saving, "CONFLICT_TEXT", 1_000)
    session = await add_session(await owner(guest), *["x" * 200] * 5)
    messages = [
        {"key": f"key-{n}", "role": "AGENT", "text": "y" * 100, "timestamp": "2026-01-01T00:00:00Z"}
        for n in range(5)
    ]
    query = """mutation($input: SaveSessionInput!) { saveSession(input: $input) {
      isSaved conflicts { index submittedText kept { text } } } }"""

    saved = await guest.data(query, {"input": {"sessionId": session.id, "messages": messages}})

    assert saved["saveSession"]["isSaved"] is True
    assert [each["index"] for each in saved["saveSession"]["conflicts"]] == [0, 1, 2]


async def test_others_have_their_turn_while_long_lists_are_told(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tasks run every few milliseconds; three lists share the time."""
    now = itertools.count(step=turns.AFTER_S / 10)
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    begun: list[int] = []
    wait = Turns.next

    async def counted(self: Turns) -> None:
        if self._waiting is None:
            begun.append(1)
        await wait(self)

    monkeypatch.setattr(Turns, "next", counted)
    session = await add_session(await owner(guest), *["hello"] * 100)
    query = "query($id: ID!) { session(id: $id) { %s } }"
    lists = " ".join(f"l{n}: utterances(last: {90 + n}) {{ nodes {{ key }} }}" for n in range(3))

    data = await guest.data(query % lists, {"id": session.id})

    keys = [f"key-{n}" for n in range(100)]
    for n in range(3):
        assert [one["key"] for one in data["session"][f"l{n}"]["nodes"]] == keys[10 - n :]
    # The clock advances a tenth of a turn per check: after each item is completed, and after every
    # few are written.
    assert 25 <= len(begun) <= 40


async def test_a_fault_in_a_long_list_names_its_place(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a short list, the error's path leads to the item."""
    monkeypatch.setattr(texts, "MAX_TEXT", 100 * 30)
    session = await add_session(await owner(guest), *["x" * 100] * 40)

    [error] = (await guest.post(TRANSCRIPT % "text", {"id": session.id})).json()["errors"]

    assert error["path"] == ["session", "utterances", "nodes", 30]
