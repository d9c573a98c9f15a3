"""Watches what an agent shows in its room: the text streams on `lk.transcription`.

Their attribute `lk.segment_id` is the only segment id of livekit-agents that others see. It is read
at `LocalParticipant.stream_text`, because that method and these attributes are public and the same
in all versions, unlike the classes behind them
(docs/decisions/0011-segments-are-named-as-in-the-room.md).
"""

import json
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

log = logging.getLogger(__name__)

TOPIC: Final = "lk.transcription"
SEGMENT: Final = "lk.segment_id"
FINAL: Final = "lk.transcription_final"
_TIMED: Final = {"text", "start_time", "end_time", "confidence", "start_time_offset"}
"""Members of a piece of text if the agent sends JSON (`json_format`)."""


class Watcher(Protocol):
    """Receives what is shown in the room."""

    def on_person_shown(self, segment: str) -> None:
        """The room shows words of the person under this id, perhaps again."""

    def on_agent_shown(self, segment: str, text: str) -> None:
        """The agent has said this text of the segment so far."""

    def on_agent_done(self, segment: str) -> None:
        """The agent says no more in this segment."""

    def on_room_lost(self) -> None:
        """The room is disconnected; nothing can be shown until it is back."""


class RoomWatch:
    """Reports what this process shows in a room, from when it is connected until `stop`."""

    def __init__(self, room: Any, watcher: Watcher) -> None:
        self._room = room
        self._watcher = watcher
        self._participant: Any = None
        room.on("connection_state_changed", self._on_connection)
        self._on_connection()

    @property
    def is_connected(self) -> bool:
        """Whether the room can show words now."""
        return self._participant is not None and bool(self._room.isconnected())

    def stop(self) -> None:
        """Remove the hooks from the room."""
        self._room.off("connection_state_changed", self._on_connection)
        if self._participant is not None:
            vars(self._participant).pop("stream_text", None)
            self._participant = None

    def _on_connection(self, _state: object = None) -> None:
        if not self._room.isconnected():
            if self._participant is not None:
                self._watcher.on_room_lost()
            return
        participant = self._room.local_participant
        if participant is not self._participant:
            # A reconnected room has a new participant.
            self._participant = participant
            participant.stream_text = self._watched(participant, participant.stream_text)

    def _watched(self, participant: Any, stream_text: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(*args: Any, **options: Any) -> Any:
            attributes = options.get("attributes") or {}
            segment = attributes.get(SEGMENT)
            if options.get("topic") != TOPIC or not segment:
                return await stream_text(*args, **options)
            sender = options.get("sender_identity") or participant.identity
            if sender != participant.identity:
                # Reported before sending, which may be slow.
                _safely(self._watcher.on_person_shown, segment)
                return await stream_text(*args, **options)
            # Announced before sending, which may wait for a lost room: the history may settle the
            # same segment meanwhile.
            _safely(self._watcher.on_agent_shown, segment, "")
            writer = await stream_text(*args, **options)
            _Spoken(writer, segment, self._watcher)
            return writer

        return watched


class _Spoken:
    """Follows one text stream of the agent's words."""

    def __init__(self, writer: Any, segment: str, watcher: Watcher) -> None:
        self._segment = segment
        self._watcher = watcher
        self._text = ""
        self._write, self._aclose = writer.write, writer.aclose
        writer.write, writer.aclose = self.write, self.aclose

    async def write(self, text: str, *args: Any, **options: Any) -> Any:
        self._text += _words(text)
        _safely(self._watcher.on_agent_shown, self._segment, self._text)
        return await self._write(text, *args, **options)

    async def aclose(self, *args: Any, **options: Any) -> Any:
        if (options.get("attributes") or {}).get(FINAL) == "true":
            _safely(self._watcher.on_agent_done, self._segment)
        return await self._aclose(*args, **options)


def _words(piece: str) -> str:
    """Return the words of a piece of text, which may be wrapped in JSON."""
    if piece.startswith("{") and piece.endswith("}\n"):
        try:
            members = json.loads(piece)
        except ValueError:
            return piece
        if isinstance(members, dict) and "text" in members and members.keys() <= _TIMED:
            return str(members["text"])
    return piece


def _safely(tell: Callable[..., None], *what: str) -> None:
    """Call the watcher and log its errors: they must not keep the agent's words from the room."""
    try:
        tell(*what)
    except Exception:
        log.exception("what is shown in the room could not be followed")
