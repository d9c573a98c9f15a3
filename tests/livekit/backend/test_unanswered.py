"""Renewed agent dispatches, with a fake LiveKit and a fake clock."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from livekit import api

from agent_bridge.attaching.announcing import notice_of
from agent_bridge.livekit.control import LiveKitTrouble, RoomGone
from agent_bridge.livekit.few_at_once import AT_ONCE
from agent_bridge.livekit.unanswered import A_ROUND, LISTED_S, SPREAD_S, Unanswered
from agent_bridge.media.backend import Awaited, NotNow
from tests.livekit.backend.calls import FakeCalls

AGENT = "voxql"
LISTED = LISTED_S + SPREAD_S
START = 1_000.0
"""LiveKit's time in seconds when every agent was first dispatched."""


def wish(session: str, attempt: int = 1, at: float = START) -> api.AgentDispatch:
    told = {"session": session, "attempt": attempt, "url": "", "token": ""}
    state = api.AgentDispatchState(created_at=int(at * 1e9))
    return api.AgentDispatch(
        id=f"{session}-{attempt}", metadata=json.dumps({"voxql": told}), state=state
    )


@dataclass
class Control(FakeCalls):
    """A LiveKit with one dispatch in each room."""

    wishes: dict[str, api.AgentDispatch] = field(default_factory=dict)
    people: dict[str, list[api.ParticipantInfo]] = field(default_factory=dict)
    notice: api.Room | None = None

    async def rooms(self, names: Iterable[str] = ()) -> list[api.Room]:
        assert set(names) == {notice_of(AGENT)}
        await self.call()
        return [self.notice] if self.notice is not None else []

    async def dispatches(self, room: str) -> list[api.AgentDispatch]:
        await self.call(room)
        if room not in self.wishes:
            raise RoomGone
        return [self.wishes[room]]

    async def participants(self, room: str) -> list[api.ParticipantInfo]:
        await self.call(room)
        return self.people.get(room, [])

    def worker_comes(self, at: float, sid: str = "RM_1") -> None:
        self.notice = api.Room(sid=sid, name=notice_of(AGENT), creation_time_ms=int(at * 1e3))

    def is_taken(self, session: str) -> None:
        self.wishes[session].state.jobs.append(api.Job(id="AJ_1"))


@dataclass
class Waiting:
    """The waiting sessions; renews dispatches like the use case."""

    control: Control
    waits: dict[str, Awaited] = field(default_factory=dict)
    asked_anew: list[tuple[str, int]] = field(default_factory=list)
    trouble: Exception | None = None

    def begin(self, *sessions: str) -> None:
        for session in sessions:
            self.waits[session] = Awaited(session, 1, AGENT, session)
            self.control.wishes[session] = wish(session)

    async def awaited(self) -> list[Awaited]:
        return list(self.waits.values())

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        if self.trouble is not None:
            raise self.trouble
        assert self.waits[session_id].attempt == attempt
        self.asked_anew.append((session_id, attempt + 1))
        self.waits[session_id] = replace(self.waits[session_id], attempt=attempt + 1)
        at = START + asyncio.get_running_loop().time()
        self.control.wishes[session_id] = wish(session_id, attempt + 1, at)
        return attempt + 1


@dataclass
class Scene:
    """The objects of each test."""

    control: Control
    waiting: Waiting
    unanswered: Unanswered
    now: list[float]

    async def look_at(self, seconds: float) -> list[tuple[str, int]]:
        """Check at this time after the start; return all renewed dispatches so far."""
        self.now[0] = seconds
        await self.unanswered.look()
        return self.waiting.asked_anew


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Nothing waits for the loop's timers, so its clock can be a plain number."""
    now = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    control = Control()
    waiting = Waiting(control)
    unanswered = Unanswered(control, waiting)  # type: ignore[arg-type]
    return Scene(control, waiting, unanswered, now)


async def test_what_nobody_took_is_asked_for_anew_when_a_job_would_be_listed(scene: Scene) -> None:
    """The dispatch is renewed once a job would be listed, and again after as long."""
    scene.waiting.begin("a")
    assert await scene.look_at(0) == []
    assert await scene.look_at(LISTED_S - 0.1) == []

    assert await scene.look_at(LISTED) == [("a", 2)]
    assert await scene.look_at(LISTED + 1) == [("a", 2)]
    assert await scene.look_at(2 * LISTED) == [("a", 2), ("a", 3)]


async def test_what_somebody_took_is_waited_for(scene: Scene) -> None:
    """An accepted job is waited for, however long its agent needs."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.control.is_taken("a")

    for seconds in range(1, 60):
        assert await scene.look_at(seconds) == []


async def test_a_worker_that_comes_is_asked_at_once_and_once(scene: Scene) -> None:
    """The new worker may have the unlisted job; another worker does not withdraw it."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.control.worker_comes(START + 2.0)

    assert await scene.look_at(2.5) == [("a", 2)]
    assert await scene.look_at(3.5) == [("a", 2)]
    scene.control.worker_comes(START + 4.0, "RM_2")
    assert await scene.look_at(4.5) == [("a", 2)]
    assert await scene.look_at(2.5 + LISTED) == [("a", 2), ("a", 3)]


async def test_a_worker_that_was_there_before_is_no_reason_to_ask_anew(scene: Scene) -> None:
    """That worker was asked already; so, perhaps, was one that registered at the same moment."""
    scene.waiting.begin("a")
    for ahead in (-5.0, 0.0, 0.2):
        scene.control.worker_comes(START + ahead, f"RM_{ahead}")
        assert await scene.look_at(1.0) == []
    before = scene.control.calls

    await scene.look_at(2.0)

    assert scene.control.calls == before + 1


async def test_an_agent_in_the_room_is_a_job_that_was_taken(scene: Scene) -> None:
    """An agent joins before its job is listed; the agent of an older attempt does not count."""
    scene.waiting.begin("a", "b")
    kind = api.ParticipantInfo.Kind.AGENT
    scene.control.people["a"] = [api.ParticipantInfo(kind=kind, joined_at=int(START) + 1)]
    scene.control.people["b"] = [api.ParticipantInfo(kind=kind, joined_at=int(START) - 9)]
    scene.control.worker_comes(START + 1.0)

    assert await scene.look_at(2.0) == [("b", 2)]


async def test_nothing_is_done_while_the_asking_is_under_way(scene: Scene) -> None:
    """The room may not exist yet; time counts from the end of the dispatch."""
    scene.waiting.begin("a")
    del scene.control.wishes["a"]
    scene.waiting.waits["a"] = replace(scene.waiting.waits["a"], is_being_asked=True)
    scene.control.worker_comes(START)
    for seconds in (0, 5, 10):
        assert await scene.look_at(seconds) == []
    scene.waiting.begin("a")

    assert await scene.look_at(10 + LISTED_S - 0.1) == []
    assert await scene.look_at(10 + LISTED) == [("a", 2)]


async def test_a_room_that_is_gone_has_no_agent(scene: Scene) -> None:
    """After a restart of LiveKit, a new dispatch recreates the room."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.control.wishes.clear()

    assert await scene.look_at(LISTED) == [("a", 2)]


async def test_what_livekit_does_not_answer_is_not_known(scene: Scene) -> None:
    """During an outage no dispatch is renewed, and none counts as unanswered."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.control.trouble = LiveKitTrouble("away")
    with pytest.raises(LiveKitTrouble):
        await scene.look_at(LISTED)
    assert scene.waiting.asked_anew == []
    scene.control.trouble = None

    assert await scene.look_at(LISTED + 1) == [("a", 2)]


async def test_a_room_that_is_refused_keeps_no_other_waiting(scene: Scene) -> None:
    """Sessions behind it get new dispatches."""
    scene.waiting.begin("a", "b")
    await scene.look_at(0)
    scene.control.refused.add("a")

    assert await scene.look_at(LISTED) == [("b", 2)]


async def test_a_full_disk_asks_for_nobody_and_is_tried_again(scene: Scene) -> None:
    """Without storing the attempt, the previous agent could not be fenced off."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.waiting.trouble = NotNow()
    with pytest.raises(NotNow):
        await scene.look_at(LISTED)
    scene.waiting.trouble = None

    assert await scene.look_at(LISTED + 1) == [("a", 2)]


async def test_a_thousand_who_wait_cost_a_bounded_number_of_calls(scene: Scene) -> None:
    """One call while nothing is due; then a limited number of sessions per check, in turn."""
    scene.waiting.begin(*(f"ses-{number}" for number in range(1_000)))
    await scene.look_at(0)
    await scene.look_at(1)
    assert scene.control.calls == 2

    for seconds in range(20):
        before = scene.control.calls
        await scene.look_at(LISTED + seconds)
        assert scene.control.calls - before <= 1 + 2 * A_ROUND

    assert scene.control.most_under_way <= AT_ONCE
    # Renewing some twice did not keep others waiting.
    assert len({session for session, _ in scene.waiting.asked_anew}) == 1_000


async def test_nobody_who_waits_costs_nothing(scene: Scene) -> None:
    """Without waiting sessions, LiveKit is not called."""
    scene.waiting.begin("a")
    await scene.look_at(0)
    scene.waiting.waits.clear()
    before = scene.control.calls

    await scene.look_at(LISTED)

    assert scene.control.calls == before
