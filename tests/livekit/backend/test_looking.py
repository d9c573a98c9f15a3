"""Checks of rooms while LiveKit is away, slow, or refuses calls, with a fake LiveKit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from livekit import api

from agent_bridge.livekit.control import LiveKitTrouble, RoomGone
from agent_bridge.livekit.few_at_once import AT_ONCE
from agent_bridge.livekit.rooms import Rooms, person_identity
from tests.livekit.backend import backends
from tests.livekit.backend.calls import FakeCalls


@dataclass
class Control(FakeCalls):
    """A LiveKit whose rooms a test fills."""

    people: dict[str, set[str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    looked_into: list[str] = field(default_factory=list)

    async def rooms(self, names: Iterable[str] = ()) -> list[api.Room]:
        await self.call()
        return [api.Room(name=name) for name in self.people]

    async def participants(self, room: str) -> list[api.ParticipantInfo]:
        self.looked_into.append(room)
        await self.call(room)
        active = api.ParticipantInfo.State.ACTIVE
        return [
            api.ParticipantInfo(identity=identity, state=active)
            for identity in self.people.get(room, ())
        ]

    async def delete(self, room: str) -> None:
        await self.call(room)
        if self.people.pop(room, None) is None:
            raise RoomGone
        self.deleted.append(room)


@dataclass
class Notes(backends.Notes):
    """A media handler that may fail, and counts how often it is asked for the rooms."""

    looks: int = 0
    trouble: Exception | None = None

    async def rooms(self) -> Mapping[str, str]:
        self.looks += 1
        if self.trouble is not None:
            raise self.trouble
        return self.running


@asynccontextmanager
async def looking(
    control: Control, notes: Notes, *, every_s: float = 0.001, sweep_s: float = 0.001
) -> AsyncIterator[Rooms]:
    rooms = Rooms(control, notes, every_s=every_s, sweep_s=sweep_s)  # type: ignore[arg-type]
    running = asyncio.create_task(rooms.run())
    try:
        yield rooms
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing signals the end of a check
            await asyncio.sleep(0.001)


async def a_few_looks(notes: Notes) -> None:
    """Wait until the rooms were checked anew from beginning to end."""
    before = notes.looks
    await until(lambda: notes.looks >= before + 3)


async def test_people_are_told_of_when_they_come_and_when_they_leave() -> None:
    """Arrival and departure are reported once each; agents are ignored."""
    control, notes = Control({"r": {"agent-1"}}), Notes({"r": "ses"})
    async with looking(control, notes):
        await a_few_looks(notes)
        assert notes.told == []
        control.people["r"].add(person_identity("ses"))
        await until(lambda: notes.told)
        await a_few_looks(notes)

        control.people["r"].discard(person_identity("ses"))

        await until(lambda: len(notes.told) > 1)
        await a_few_looks(notes)
    assert notes.told == [("came", "ses"), ("left", "ses")]


async def test_the_person_of_another_session_is_nobody() -> None:
    """A participant with another session's token is not taken for the room's person."""
    control, notes = Control({"r": {person_identity("other")}}), Notes({"r": "ses"})
    async with looking(control, notes):
        await a_few_looks(notes)

    assert notes.told == []


async def test_a_room_that_is_gone_has_nobody_in_it() -> None:
    """When the room is deleted, the person counts as gone."""
    control, notes = Control({"r": {person_identity("ses")}}), Notes({"r": "ses"})
    async with looking(control, notes):
        await until(lambda: notes.told)
        del control.people["r"]
        await until(lambda: len(notes.told) > 1)

    assert notes.told == [("came", "ses"), ("left", "ses")]


async def test_the_person_of_a_conversation_that_is_over_has_left() -> None:
    """When the conversation ends, the person is reported gone and forgotten."""
    control, notes = Control({"r": {person_identity("ses")}}), Notes({"r": "ses"})
    async with looking(control, notes) as rooms:
        await until(lambda: notes.told)
        notes.running = {}
        await until(lambda: len(notes.told) > 1)
        assert not rooms._present

    assert notes.told == [("came", "ses"), ("left", "ses")]


async def test_a_livekit_that_is_away_makes_nobody_leave() -> None:
    """During an outage nobody is reported gone; afterwards the checks continue."""
    control, notes = Control({"r": {person_identity("ses")}}), Notes({"r": "ses"})
    async with looking(control, notes) as rooms:
        await until(lambda: notes.told)
        control.trouble = LiveKitTrouble("made up")
        rooms.end("over")
        await a_few_looks(notes)
        assert notes.told == [("came", "ses")]

        control.trouble = None
        control.people["r"].clear()
        await until(lambda: len(notes.told) > 1)

    assert notes.told == [("came", "ses"), ("left", "ses")]


async def test_one_room_that_livekit_refuses_does_not_stand_in_the_way_of_others() -> None:
    """Only the refused room's state is unknown; other rooms are checked and deleted."""
    control = Control({"bad": set(), "good": {person_identity("two")}, "over": set()})
    control.refused.add("bad")
    notes = Notes({"bad": "one", "good": "two"})
    async with looking(control, notes) as rooms:
        rooms.end("bad")
        rooms.end("over")
        await until(lambda: notes.told and control.deleted)
        control.refused.clear()
        await until(lambda: "bad" in control.deleted)

    assert notes.told == [("came", "two")]
    assert control.deleted == ["over", "bad"]


async def test_a_room_that_is_over_is_deleted_until_it_is_gone() -> None:
    """The room is deleted at once, or as soon as LiveKit is back."""
    control, notes = Control({"r": set()}), Notes()
    async with looking(control, notes, every_s=3600) as rooms:
        await until(lambda: notes.looks)
        rooms.end("r")
        await until(lambda: control.deleted)
    assert control.deleted == ["r"]

    control = Control({"r": set()}, trouble=LiveKitTrouble("made up"))
    async with looking(control, notes) as rooms:
        rooms.end("r")
        await a_few_looks(notes)
        control.trouble = None
        await until(lambda: control.deleted)
        await a_few_looks(notes)
    assert control.deleted == ["r"]


async def test_a_hint_looks_into_one_room_at_once() -> None:
    """A hint checks only its own room, and only if a conversation runs there."""
    people = {"a": {person_identity("one")}, "b": {person_identity("two")}}
    control, notes = Control(), Notes({"a": "one", "b": "two"})
    async with looking(control, notes, every_s=3600) as rooms:
        await until(lambda: len(control.looked_into) == 2)
        control.people.update(people)

        rooms.look_soon("b")
        rooms.look_soon("somebody-elses")

        await until(lambda: notes.told)
    assert notes.told == [("came", "two")]
    assert sorted(control.looked_into) == ["a", "b", "b"]


async def test_a_flood_of_hints_is_followed_together() -> None:
    """Many webhooks cause few checks."""
    control, notes = Control({"r": set()}), Notes({"r": "ses"})
    async with looking(control, notes, every_s=3600) as rooms:
        await until(lambda: notes.looks)
        for _ in range(1_000):
            rooms.look_soon("r")
            await asyncio.sleep(0)
        control.people["r"].add(person_identity("ses"))
        rooms.look_soon("r")
        await until(lambda: notes.told)

    assert notes.looks < 100


async def test_many_rooms_are_looked_into_a_few_at_once() -> None:
    """The number of concurrent calls to LiveKit is limited."""
    running = {f"r{number}": f"s{number}" for number in range(200)}
    control, notes = Control(), Notes(running)
    async with looking(control, notes, every_s=3600):
        await until(lambda: len(control.looked_into) == 200)

    assert 1 < control.most_under_way <= AT_ONCE


async def test_rooms_left_over_are_found_but_not_those_of_others() -> None:
    """Only rooms of our ended conversations are deleted."""
    control = Control({"voxql-over": set(), "voxql-unknown": set(), "theirs": set()})
    notes = Notes(over={"voxql-over", "theirs"})
    async with looking(control, notes):
        await until(lambda: control.deleted)
        await a_few_looks(notes)

    assert control.deleted == ["voxql-over"]


async def test_a_conversation_that_ends_meanwhile_is_no_fault() -> None:
    """A person who joins after the end is ignored."""
    control, notes = Control({"r": {person_identity("ses")}}), Notes({"r": "ses"}, gone={"ses"})
    async with looking(control, notes) as rooms:
        await a_few_looks(notes)
        assert not rooms._present

    assert notes.told == []


async def test_a_fault_of_ours_does_not_end_the_looking() -> None:
    """Checks continue after an error of ours, such as a full disk."""
    control, notes = Control({"r": {person_identity("ses")}}), Notes({"r": "ses"})
    notes.trouble = RuntimeError("made up")
    async with looking(control, notes):
        await a_few_looks(notes)
        notes.trouble = None
        await until(lambda: notes.told)

    assert notes.told == [("came", "ses")]
