"""A save of ten thousand messages works like one of ten and blocks no other request."""

import asyncio
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import httpx
import pytest

from models.tables import Session, SessionStatus, User, Utterance
from models.turns import Turns
from resolvers import limits
from resolvers.accounts.rate_limits import Budgets
from resolvers.backend import Backend
from schema.operations import cost
from schema.operations.variables import LONG
from settings import Settings
from tests.rows import add_session
from tests.schema.clients import LOGIN, Http

SAVE: Final = """mutation($input: SaveSessionInput!) { saveSession(input: $input) {
  createdCount conflicts { index } session { status utteranceCount } } }"""
MANY: Final = 3 * LONG


def messages(count: int, word: str = "said") -> list[dict[str, Any]]:
    return [
        {
            "key": f"key-{number}",
            "role": "AGENT" if number % 2 else "USER",
            "text": f"{word} {number}",
            "timestamp": 1_769_860_800_000 + 1_000 * number,
        }
        for number in range(count)
    ]


async def session(guest: Http) -> Session:
    found = await guest.data("{ viewer { id } }")
    user = await User.get(id=found["viewer"]["id"])
    return await add_session(user, status=SessionStatus.ACTIVE)


async def texts(session_id: str) -> list[str]:
    rows = await Utterance.filter(session_id=session_id).order_by("position", "id")
    return [row.text for row in rows]


Variables = Callable[[str, list[dict[str, Any]]], dict[str, Any]]
SHAPES: Final[dict[str, tuple[str, Variables]]] = {
    "in an input": (SAVE, lambda id_, given: {"input": {"sessionId": id_, "messages": given}}),
    "alone": (
        """mutation($id: ID!, $given: [MessageInput!]!) {
        saveSession(input: {sessionId: $id, messages: $given}) { createdCount } }""",
        lambda id_, given: {"id": id_, "given": given},
    ),
    "in the next chat's": (
        """mutation($input: StartNewChatInput!) {
        startNewChat(input: $input) { saved { createdCount } } }""",
        lambda id_, given: {"input": {"previous": {"sessionId": id_, "messages": given}}},
    ),
    "in a part of the next chat's": (
        """mutation($previous: SaveSessionInput) {
        startNewChat(input: {previous: $previous}) { saved { createdCount } } }""",
        lambda id_, given: {"previous": {"sessionId": id_, "messages": given}},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [LONG, LONG + 1, MANY])
async def test_messages_are_read_wherever_they_are_given(
    guest: Http, shape: str, count: int
) -> None:
    """Lists of any length work in any variable, and omitted fields get their defaults."""
    saved = await session(guest)
    query, variables = SHAPES[shape]
    given = messages(count)
    given[-1]["isFinal"] = False

    data = await guest.data(query, variables(saved.id, given))

    payload = data.get("saveSession") or data["startNewChat"]["saved"]
    assert payload["createdCount"] == count
    assert await texts(saved.id) == [each["text"] for each in given]
    rows = await Utterance.filter(session_id=saved.id).order_by("position", "id")
    assert [row.is_final for row in rows] == [True] * (count - 1) + [False]
    assert [row.role.value for row in rows[:2]] == ["USER", "AGENT"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"role": "NOBODY"}, "[250].role"),
        ({"timestamp": 5}, "[250].timestamp"),
        ({"nonsense": 1}, "[250]"),
        ({"text": None}, "[250].text"),
    ],
)
async def test_a_fault_far_down_a_long_list_is_named(
    guest: Http, shape: str, fault: dict[str, Any], told: str
) -> None:
    """The error names its position before anything is saved, as in a short list."""
    saved = await session(guest)
    query, variables = SHAPES[shape]
    given = messages(MANY)
    given[250] |= fault

    refusal = await guest.refusal(query, variables(saved.id, given))

    assert refusal["extensions"]["code"] == "BAD_USER_INPUT"
    assert f"{told}:" in refusal["message"], refusal["message"]
    assert await texts(saved.id) == []


async def test_it_is_done_once_and_conflicts_are_told(guest: Http) -> None:
    """Repeating a save creates nothing; changed texts conflict; new messages are added."""
    saved = await session(guest)
    changed = messages(MANY)
    for each in changed[::2]:
        each["text"] = "changed"
    told = []
    for given in (messages(MANY), messages(MANY), changed, messages(MANY + 5)):
        data = await guest.data(SAVE, {"input": {"sessionId": saved.id, "messages": given}})
        told.append(data["saveSession"])

    assert [each["createdCount"] for each in told] == [MANY, 0, 0, 5]
    conflicts = [[one["index"] for one in each["conflicts"]] for each in told]
    assert conflicts == [[], [], list(range(0, MANY, 2)), []]
    assert told[-1]["session"] == {"status": "ENDED", "utteranceCount": MANY + 5}
    assert await texts(saved.id) == [each["text"] for each in messages(MANY + 5)]


async def test_saves_of_one_session_at_once_come_one_after_the_other(guest: Http) -> None:
    """Although each save yields to others, one of the two texts wins everywhere."""
    saved = await session(guest)
    given = [messages(MANY, word) for word in ("one", "two")]

    answers = await asyncio.gather(
        *(guest.data(SAVE, {"input": {"sessionId": saved.id, "messages": each}}) for each in given)
    )

    told = [answer["saveSession"] for answer in answers]
    assert sorted(each["createdCount"] for each in told) == [0, MANY]
    assert sorted(len(each["conflicts"]) for each in told) == [0, MANY]
    assert {text.split()[0] for text in await texts(saved.id)} in ({"one"}, {"two"})


async def test_a_save_is_taken_of_the_budget_by_its_messages(guest: Http, backend: Backend) -> None:
    """Once it is spent, the next save must wait, and a refused save stores nothing."""
    now = backend.clock()
    backend.budgets = Budgets(lambda: now, MANY * cost.MESSAGE * 3 // 2)
    first, second = await session(guest), await session(guest)
    given = {"sessionId": first.id, "messages": messages(MANY)}

    await guest.data(SAVE, {"input": given})
    refused = await guest.post(SAVE, {"input": {**given, "sessionId": second.id}})

    [error] = refused.json()["errors"]
    assert refused.status_code == 429
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert refused.headers["retry-after"] == str(error["extensions"]["retryAfter"])
    assert await texts(second.id) == []
    # A page's own save of a few lines is small.
    few = "mutation($i: SaveSessionInput!) { saveSession(input: $i) { createdCount } }"
    await guest.data(few, {"i": {**given, "messages": messages(5)}})


async def test_a_save_of_more_than_a_budget_holds_takes_a_full_one(
    guest: Http, backend: Backend
) -> None:
    """Otherwise it could never be done."""
    now = backend.clock()
    backend.budgets = Budgets(lambda: now, MANY * cost.MESSAGE // 4)
    saved = await session(guest)
    given = {"sessionId": saved.id, "messages": messages(MANY)}

    data = await guest.data(SAVE, {"input": given})

    assert data["saveSession"]["createdCount"] == MANY
    refusal = await guest.refusal(SAVE, {"input": given})
    assert refusal["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 60}


def test_the_usual_budget_holds_several_of_the_largest_saves() -> None:
    """The largest save has ten thousand messages and the costliest selection."""
    largest = limits.MESSAGES * cost.MESSAGE + cost.MAX_COST
    assert 5 * largest <= Settings(agent="external").points_per_minute


async def test_one_operation_saves_no_more_than_one_save_may(guest: Http) -> None:
    """Aliases and other fields count together; a refused operation saves nothing."""
    saved = await session(guest)
    query = """mutation($input: SaveSessionInput!) {
      one: saveSession(input: $input) { createdCount }
      two: startNewChat(input: {previous: $input}) { session { id } } }"""
    given = {"sessionId": saved.id, "messages": messages(limits.MESSAGES // 2 + 1)}

    refusal = await guest.refusal(query, {"input": given})

    assert refusal["message"] == (
        "The operation saves 10,002 messages; at most 10,000 are allowed. Send the saves one after "
        "the other."
    )
    assert await texts(saved.id) == []


class Calls:
    """Counts Python calls in this thread between two callbacks of the loop."""

    def __init__(self) -> None:
        self.most = 0
        self._count = 0
        self._is_running = True

    def __enter__(self) -> "Calls":
        asyncio.get_running_loop().call_soon(self._look)
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._is_running = False

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            self._count += 1

    def _look(self) -> None:
        self.most = max(self.most, self._count)
        self._count = 0
        if self._is_running:
            asyncio.get_running_loop().call_soon(self._look)


@pytest.mark.sqlite
async def test_others_have_their_turn_all_the_time(
    url: str, guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First saves, repeated saves and saves with other texts all yield regularly.

    The test counts turns instead of timing them, by how often the clock is checked: once per
    message in each loop over all messages.
    """
    count, looks = 1_000, 0

    def is_over(self: Turns) -> bool:
        nonlocal looks
        looks += 1
        return looks % 10 == 0

    monkeypatch.setattr(Turns, "is_over", is_over)
    monkeypatch.setattr("models.turns.REST_S", 0.0)
    saved = await session(guest)
    async with httpx.AsyncClient(base_url=url, cookies={LOGIN: guest.cookie or ""}) as client:
        # Read, counted, understood, checked, merged, numbered and compared; a repeated save finds,
        # hydrates and places messages instead of numbering them; conflicts are also reported.
        for word, least in (("one", 7), ("one", 8), ("two", 9)):
            looks = 0
            given = {"sessionId": saved.id, "messages": messages(count, word)}
            with Calls() as calls:
                answer = await client.post(
                    "/graphql", json={"query": SAVE, "variables": {"input": given}}, timeout=60.0
                )
            assert "errors" not in answer.json()
            assert looks >= least * count
            assert calls.most < 12 * count
