"""Tells VoxQL what happens in somebody's AgentSession, and the session what VoxQL wants."""

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
"""For handing in what is left; livekit-agents kills a job 10 s after it was told to end."""
_STOP_SECONDS: Final = 4.0
"""For ending the session when VoxQL says stop; the server waits 10 s for everything."""
_CLOSE_SECONDS: Final = 3.0
"""How long a job's end may take to close the session, and a session's end to become the job's."""
_HUNG_UP: Final = {"user_initiated", "task_completed"}
"""Why a session closed when the agent wanted it to. After any other reason, such as a person whose
page was loaded again, the conversation may go on, with another agent if need be."""
_NOT_HUNG_UP: Final = {"", "room disconnected", "parent process shutdown", "job crashed"}
"""Why a job ended although nobody wanted the conversation to (old versions give no reason).
livekit-agents then closes the session in the same way as an agent that hangs up."""


def attach(session: Any, ctx: Any) -> "Attachment | None":
    """Send every word of this session to VoxQL, and hand on what people type there.

    Call it in the entrypoint, before or after `session.start`. A job that VoxQL has not asked for
    is left alone. Nothing that goes wrong with VoxQL ends the agent's conversation.

    Args:
        session: an `AgentSession` of livekit-agents.
        ctx: the job's `JobContext`.

    Returns:
        The attachment, which needs no care; None when the job is not one of VoxQL's.
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
    """One session of livekit-agents, connected with one of VoxQL's."""

    def __init__(self, session: Any, ctx: Any, dispatch: Dispatch) -> None:
        self.session_id = dispatch.session
        """VoxQL's id of the conversation."""
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
        """Hand in what is left and leave the conversation; the agent may go on without VoxQL.

        With any reason but DRAINING and RESTARTING the conversation is over for VoxQL.
        """
        self._leave(reason)
        await asyncio.wait({self._running})

    # What the session tells. These run on the agent's own loop: they only note, and never wait.

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
        # What the person said has been told while it was heard; a handoff has no role.
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

    # What is shown in the room.

    def on_person_shown(self, segment: str) -> None:
        """Name what the person says as the room does."""
        self._person.on_shown(segment)

    def on_agent_shown(self, segment: str, text: str) -> None:
        """Report what the agent says while it speaks."""
        self._agent.on_shown(segment, text)

    def on_agent_done(self, segment: str) -> None:
        """Report that it has said this."""
        self._agent.on_done(segment)

    def on_room_lost(self) -> None:
        """Name by itself what can't be shown."""
        self._person.settle()

    # Both directions of the bridge.

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
                        # The session's end is the conversation's; it has something to say yet.
                        return

    async def _typed(self, line: InputCommand) -> None:
        """Let the agent answer a typed line, as its own chat would."""
        with suppress(RuntimeError):
            # It can't be interrupted just now: then the answer comes after it.
            await self._session.interrupt()
        try:
            self._answers.expect(line.key, self._session.generate_reply(user_input=line.text))
        except RuntimeError as error:
            log.warning("a typed line was not answered: %s", error)

    async def _stop(self, command: StopCommand) -> None:
        """End the agent's session as VoxQL has ended the conversation."""
        closed = self._bridge.closed
        if closed is not None and closed.code not in (CloseCode.FENCED, CloseCode.GONE):
            # Our own misunderstanding is no reason to hang up on somebody.
            log.error("VoxQL takes nothing from this agent, which goes on without: %s", closed)
            self._leave("CLOSED")
            return
        self._reason = self._reason or "STOPPED"
        self._agent.stop()
        # A reply that can't be interrupted may hold this up longer than the server waits.
        closing = asyncio.create_task(self._session.aclose())
        await asyncio.wait({closing}, timeout=_STOP_SECONDS)
        self._leave("STOPPED")
        await asyncio.wait({self._running})
        self._ctx.shutdown(reason="VoxQL has ended the conversation")

    async def _ready(self) -> None:
        with suppress(BridgeClosed):
            await self._bridge.ready()

    async def _hang_up(self) -> None:
        """Leave for good, unless the job turns out to be ending for a reason of its own."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._job_over.wait()
        self._leave("LEFT")

    async def _on_shutdown(self, reason: str) -> None:
        """Keep the job until everything has been handed in."""
        self._reason = self._reason or ("DRAINING" if reason in _NOT_HUNG_UP else "LEFT")
        if self._started.is_set():
            # Not before the session has closed: closing brings the last words.
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
            # Over a limit of the protocol; the words themselves must not be in the log.
            log.warning("an utterance was not reported: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _moment(dated: Any) -> datetime:
    seconds = getattr(dated, "created_at", None)
    return datetime.fromtimestamp(seconds, UTC) if seconds else datetime.now(UTC)


def _key(value: object, longest: int) -> str | None:
    """Return what may be sent of an optional name."""
    name = str(value) if value is not None else ""
    return name if name and is_key(name, longest) else None
