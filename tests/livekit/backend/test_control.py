"""Single calls to a real LiveKit: their results and errors."""

import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from agent_bridge.livekit.backend import LiveKitMedia
from agent_bridge.livekit.control import CALL_S, LiveKitControl, LiveKitTrouble, RoomGone
from agent_bridge.media.backend import Condition
from agent_bridge.server.workers import NoAgent, StartRequest
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.ports import free_port

PATIENT_S = 30.0
"""For tests without a time limit of their own."""


@pytest.fixture
async def control(livekit: LiveKitServer) -> AsyncIterator[LiveKitControl]:
    control = LiveKitControl(livekit.url, KEY, SECRET, call_s=PATIENT_S)
    yield control
    await control.close()


@pytest.mark.parametrize(
    ("given", "for_clients"),
    [
        ("wss://talk.livekit.cloud", "wss://talk.livekit.cloud"),
        ("https://talk.livekit.cloud/", "wss://talk.livekit.cloud"),
        ("http://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("ws://[::1]:7880/", "ws://[::1]:7880"),
        ("https://example.org/livekit/", "wss://example.org/livekit"),
    ],
)
def test_clients_get_the_websocket_form_of_the_address(given: str, for_clients: str) -> None:
    """Clients need a WebSocket URL, whichever form was configured."""
    assert LiveKitControl(given, KEY, SECRET).url == for_clients


async def test_either_form_of_the_address_works_for_calls(livekit: LiveKitServer) -> None:
    """LiveKit's own documentation uses both forms."""
    for url in (livekit.url, livekit.http_url, livekit.http_url + "/"):
        control = LiveKitControl(url, KEY, SECRET)
        assert await control.rooms(["of-nobody"]) == []
        await control.close()


async def test_a_room_that_is_not_there_is_told_from_trouble(control: LiveKitControl) -> None:
    """A missing room is empty, and deleting it raises RoomGone."""
    room = f"room-{uuid4().hex}"

    assert await control.participants(room) == []
    assert await control.rooms([room]) == []
    with pytest.raises(RoomGone):
        await control.delete(room)
    await control.create(room, "{}", "agent", "{}")
    [dispatch] = await control.dispatches(room)
    await control.withdraw(room, dispatch.id)
    with pytest.raises(RoomGone):
        await control.withdraw(room, dispatch.id)
    with pytest.raises(RoomGone):
        await control.remove(room, "nobody")
    await control.delete(room)
    assert control.calls["delete_room", "gone"] == 1
    assert control.calls["delete_room", "ok"] == 1


async def test_a_request_for_an_agent_fails_when_livekit_is_unreachable() -> None:
    """The person is told to try again; the reason names the failed call, without secrets."""
    control = LiveKitControl(f"ws://127.0.0.1:{free_port()}", KEY, SECRET)

    with pytest.raises(LiveKitTrouble) as told:
        await control.create("room", "{}", "agent", "{}")

    assert isinstance(told.value, NoAgent)
    assert "try again" in str(told.value)
    assert told.value.reason.startswith("create_room: Client")
    await control.close()


async def test_asking_twice_for_one_attempt_asks_for_one_agent(livekit: LiveKitServer) -> None:
    """A repeated attempt, whose first answer may have been lost, finds the first dispatch."""
    media = LiveKitMedia(livekit.url, KEY, SECRET, "http://127.0.0.1:8000")
    room = f"voxql-{uuid4().hex}"

    def attempt(number: int) -> StartRequest:
        return StartRequest("ses_x", number, "agent", f"token {number}", "", room)

    await media.start(attempt(1))
    for number in (2, 2, 3, 3, 3):
        await media.start(attempt(number))

    [dispatch] = await media._control.dispatches(room)
    assert '"attempt": 3' in dispatch.metadata
    assert media._control.calls["create_dispatch", "ok"] == 2
    await media._control.close()


async def test_other_agents_in_the_room_are_left_alone(livekit: LiveKitServer) -> None:
    """A retry replaces only our agents; integrators may dispatch their own."""
    media = LiveKitMedia(livekit.url, KEY, SECRET, "http://127.0.0.1:8000")
    control, room = media._control, f"voxql-{uuid4().hex}"
    await media.start(StartRequest("ses_x", 1, "agent", "token", "", room))
    for metadata in ("", "not JSON", "[]", '{"voxql": 1}', '{"theirs": {"attempt": 1}}'):
        await control.dispatch(room, "theirs", metadata)

    await media.start(StartRequest("ses_x", 2, "agent", "token", "", room))

    names = sorted(one.agent_name for one in await control.dispatches(room))
    assert names == ["agent", *["theirs"] * 5]
    await control.close()


async def test_livekits_condition_is_asked_for_once_in_a_while(livekit: LiveKitServer) -> None:
    """LiveKit is called once, however often /readyz is polled."""
    media = LiveKitMedia(livekit.url, KEY, SECRET, "http://127.0.0.1:8000")

    answers = [await media.condition() for _ in range(20)]

    assert all(answer.is_ready for answer in answers)
    assert media._control.calls == {("list_rooms", "ok"): 1}
    await media._control.close()


async def test_a_livekit_that_does_not_answer_holds_nobody_up() -> None:
    """LiveKit accepts connections and never answers; a dispatch fails in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        media = LiveKitMedia(url, KEY, SECRET, "http://127.0.0.1:8000", call_s=0.2)

        with pytest.raises(NoAgent, match="try again"):
            await media.start(StartRequest("ses_x", 1, "agent", "token", "", "room"))

        assert await media.condition() == Condition(False, {"livekit": "not ready"})
        await media._control.close()
    assert CALL_S < 5, "what a person waits for an agent"


async def test_a_wrong_key_is_said_by_the_condition_and_in_the_log(livekit: LiveKitServer) -> None:
    """The person is told to try again; the log has the reason without the secret."""
    wrong = "not the secret, but just as long as one"
    media = LiveKitMedia(livekit.url, KEY, wrong, "http://127.0.0.1:8000")

    with capture_logs() as logs, pytest.raises(NoAgent, match="try again"):
        await media.start(StartRequest("ses_x", 1, "agent", "token", "", "room"))

    [line] = logs
    assert (line["event"], line["log_level"]) == ("livekit_not_asked", "warning")
    assert "401" in line["reason"]
    assert wrong not in str(logs)
    assert not (await media.condition()).is_ready
    await media._control.close()
