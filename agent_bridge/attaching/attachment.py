"""Connects an AgentSession to VoxQL: reports its words, and carries out VoxQL's commands."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from ..client.answers import STATES, Answers
from ..client.bridge import BridgeClient
from ..client.inbox import InputCommand, StopCommand
from ..client.link import BridgeClosed
from ..protocol import CloseCode, Utterance
from ..protocol.codes import KEY_LENGTH, LANGUAGE_LENGTH
from ..protocol.limits import is_key
from .agent import AgentWords
from .dispatch import Dispatch, read_dispatch
from .person import PersonWords
from .room import RoomWatch

log = logging.getLogger(__name__)

BYE_SECONDS: Final = 5.0
"""Time to send what is left; livekit-agents kills a job 10 s after telling it to end."""
_STOP_SECONDS: Final = 4.0
"""Time to close the session when VoxQL says stop; the server waits 10 s for everything."""
_CLOSE_SECONDS: Final = 3.0
"""How long the job's shutdown waits for the session to close, and a hang-up for the shutdown."""
_HUNG_UP: Final = {"user_initiated", "task_completed"}
"""Close reasons that mean that the agent hung up. After any other, such as a person who reloaded
the page, the conversation may continue, with another agent if need be."""
_NOT_HUNG_UP: Final = {"", "room disconnected", "parent process shutdown", "job crashed"}
"""Reasons of a job's end that mean that nobody hung up (old versions give no reason).
livekit-agents then closes the session in the same way as when the agent hangs up."""


def attach(session: Any, ctx: Any) -> "Attachment | None":
    """Connect this session to VoxQL: report every word, and answer what people type there.

    Call it in the entrypoint, before or after `session.start`. It leaves alone any job that VoxQL
    did not ask for. A failure of VoxQL never ends the agent's conversation.

    Args:
        session: An `AgentSession` of livekit-agents.
        ctx: The job's `JobContext`.

    Returns:
        The attachment, which needs no further calls; None if VoxQL did not start the job.
    """
    try:
        dispatch = read_dispatch(ctx.job.metadata)
    except ValueError as error:
        log.warning("%s; nothing is sent to VoxQL", error)
        return None
    if dispatch is None:
        log.info("this job was not started by VoxQL; nothing is sent there")
        return None
    return Attachment(session, ctx, dispatch)


class Attachment:
    """Connects one session of livekit-agents with one of VoxQL's."""

    def __init__(self, session: Any, ctx: Any, dispatch: Dispatch) -> None:
        self.session_id = dispatch.session
        """The conversation's id in VoxQL."""
        self._session = session
        self._ctx = ctx
        self._bridge = BridgeClient(dispatch.url, dispatch.token, ("input", "speech"))
        self._answers = Answers(self._bridge.acknowledge)
        self._agent = AgentWords(self._utter)
        self._person = PersonWords(self._utter, lambda: self._room.is_connected)
        self._room = RoomWatch(ctx.room, self)
        self._started = asyncio.Event()
        self._over = asyncio.Event()
        self._job_over = asyncio.Event()
        self._reason = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Callable[[Any], None]] = {
            "agent_state_changed": self._on_agent_state,
            "user_state_changed": self._on_user_state,
            "user_input_transcribed": self._on_heard,
            "conversation_item_added": self._on_item,
            "close": self._on_close,
        }
        for event, handler in self._handlers.items():
            session.on(event, handler)
        ctx.add_shutdown_callback(self._on_shutdown)
        self._show(getattr(session, "agent_state", "initializing"))
        self._running = asyncio.create_task(self._run())

    async def aclose(self, reason: str = "LEFT") -> None:
        """Send what is left and leave the conversation; the agent may go on without VoxQL.

        With any reason except DRAINING and RESTARTING, the conversation is over for VoxQL.
        """
        self._leave(reason)
        await asyncio.wait({self._running})

    # Events of the session. They run on the agent's event loop, so these handlers never wait.

    def _on_agent_state(self, event: Any) -> None:
        self._answers.on_state(event.new_state)
        if event.new_state == "speaking":
            self._person.on_answer()
        self._show(event.new_state)

    def _show(self, state: str) -> None:
        self._bridge.state(STATES.get(state, "LISTENING"))
        if state != "initializing" and not self._started.is_set():
            self._started.set()
            self._spawn(self._ready())

    def _on_user_state(self, event: Any) -> None:
        if event.new_state == "speaking":
            self._person.on_voice(_moment(event))

    def _on_heard(self, event: Any) -> None:
        language = _key(getattr(event, "language", None), LANGUAGE_LENGTH)
        speaker = _key(getattr(event, "speaker_id", None), KEY_LENGTH)
        self._person.on_heard(event.transcript, event.is_final, _moment(event), language, speaker)

    def _on_item(self, event: Any) -> None:
        # The person's words were reported as they were heard; a handoff has no role.
        item = event.item
        if getattr(item, "role", None) == "assistant" and (text := item.text_content):
            output = self._session.output
            written = output.audio is None or not output.audio_enabled
            interrupted = bool(getattr(item, "interrupted", False))
            self._agent.on_replied(text, interrupted, _moment(item), written=written)

    def _on_close(self, event: Any) -> None:
        reason = getattr(event, "reason", None)
        if str(getattr(reason, "value", reason)) in _HUNG_UP:
            self._spawn(self._hang_up())
        else:
            self._leave("DRAINING")

    # Events of the room; see `Watcher`.

    def on_person_shown(self, segment: str) -> None:
        """Give the person's words the id that the room uses."""
        self._person.on_shown(segment)

    def on_agent_shown(self, segment: str, text: str) -> None:
        """Report the agent's words while it speaks."""
        self._agent.on_shown(segment, text)

    def on_agent_done(self, segment: str) -> None:
        """Report that the agent has finished this segment."""
        self._agent.on_done(segment)

    def on_room_lost(self) -> None:
        """Report the words that the room can't show, under random ids."""
        self._person.settle()

    # The bridge, in both directions.

    async def _run(self) -> None:
        async with self._bridge as bridge:
            obeying = asyncio.create_task(self._obey(bridge))
            try:
                await self._over.wait()
            finally:
                obeying.cancel()
                await asyncio.gather(obeying, return_exceptions=True)
                self._detach()
            self._person.finish()
            self._agent.finish(is_cut_off=self._reason != "LEFT")
            await bridge.bye(self._reason, timeout=BYE_SECONDS)

    async def _obey(self, bridge: BridgeClient) -> None:
        async for command in bridge.commands(auto_ack=False):
            match command:
                case InputCommand():
                    await self._started.wait()
                    await self._typed(command)
                case StopCommand():
                    self._spawn(self._stop(command))
                    if not command.is_terminal:
                        # `_stop` ends the conversation, after the session's last words are sent.
                        return

    async def _typed(self, line: InputCommand) -> None:
        """Have the agent answer a typed line, as it would a line of its own chat."""
        with suppress(RuntimeError):
            # If the current reply can't be interrupted, the answer comes after it.
            await self._session.interrupt()
        try:
            self._answers.expect(line.key, self._session.generate_reply(user_input=line.text))
        except RuntimeError as error:
            log.warning("a typed line was not answered: %s", error)

    async def _stop(self, command: StopCommand) -> None:
        """End the agent's session because VoxQL has ended the conversation."""
        closed = self._bridge.closed
        if closed is not None and closed.code not in (CloseCode.FENCED, CloseCode.GONE):
            # A misunderstanding between us and VoxQL is no reason to hang up on the person.
            log.error("VoxQL takes nothing from this agent, which goes on without: %s", closed)
            self._leave("CLOSED")
            return
        self._reason = self._reason or "STOPPED"
        self._agent.stop()
        # A reply that can't be interrupted may delay this beyond the time that the server waits.
        closing = asyncio.create_task(self._session.aclose())
        await asyncio.wait({closing}, timeout=_STOP_SECONDS)
        self._leave("STOPPED")
        await asyncio.wait({self._running})
        self._ctx.shutdown(reason="VoxQL has ended the conversation")

    async def _ready(self) -> None:
        with suppress(BridgeClosed):
            await self._bridge.ready()

    async def _hang_up(self) -> None:
        """Leave for good, unless the job is shutting down for another reason."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._job_over.wait()
        self._leave("LEFT")

    async def _on_shutdown(self, reason: str) -> None:
        """Delay the job's end until everything has been sent."""
        self._reason = self._reason or ("DRAINING" if reason in _NOT_HUNG_UP else "LEFT")
        if self._started.is_set():
            # Wait for the session to close, because closing brings the last words.
            self._job_over.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._over.wait()
        self._leave("DRAINING")
        await asyncio.wait({self._running})

    def _leave(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._over.set()

    def _detach(self) -> None:
        for event, handler in self._handlers.items():
            self._session.off(event, handler)
        self._room.stop()

    def _utter(self, utterance: Utterance) -> None:
        try:
            self._bridge.utter(utterance)
        except ValueError as error:
            # It exceeds a limit of the protocol. The words themselves must not be logged.
            log.warning("an utterance was not reported: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _moment(dated: Any) -> datetime:
    seconds = getattr(dated, "created_at", None)
    return datetime.fromtimestamp(seconds, UTC) if seconds else datetime.now(UTC)


def _key(value: object, longest: int) -> str | None:
    """Return an optional name if the protocol allows it, else None."""
    name = str(value) if value is not None else ""
    return name if name and is_key(name, longest) else None
