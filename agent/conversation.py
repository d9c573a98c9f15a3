"""Runs one conversation: a livekit-agents session between the person's audio and the bridge."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    llm,
    stt,
    tts,
)
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice import ModelSettings

from agent.audio_transport import AudioTransport, Listener, SocketTransport
from agent.greeting import Greeting
from agent.hearing import Heard, Hearing, PersonInput
from agent.speaking.output import LAST_FRAME, PersonOutput, ReplyText
from agent.speaking.spoken import Spoken
from agent.speaking.writing import Answer, Piece, Said, Writing
from agent_bridge.client.answers import STATES, Answers
from agent_bridge.client.bridge import BridgeClient, InputCommand, StopCommand, new_segment
from agent_bridge.client.worker import StartJob
from agent_bridge.protocol import Utterance
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE, Peer, Played

log = logging.getLogger(__name__)

INSTRUCTIONS: Final = (
    "You are a voice assistant in a spoken conversation. Answer in one to three short sentences of "
    "plain words: no lists, no markup, no emoji. What the person said was recognised from speech "
    "and may hold small mistakes; take it as it was probably meant."
)
_REPLY_AFTER: Final = 0.45
"""Seconds of silence before a reply; the recogniser waits longer after an unfinished sentence."""
_GOODBYE: Final = 7.5
"""Seconds to report what is left, a third of them for recognising it. The bye itself may take two
more, and the server waits 10."""
_HURRIED_GOODBYE: Final = 3.0


@dataclass(frozen=True, slots=True)
class Minds:
    """What all conversations share; loaded once, before the first one."""

    answers: llm.LLM[Any]
    recogniser: stt.STT[Any] | None
    """None if the person can only type."""
    voice: tts.TTS[Any] | None
    """None if the agent can only write."""
    greeting: str = ""
    """What the agent says first in a new conversation; empty for no greeting."""


class ConversationFailed(Exception):
    """livekit's session ended by itself because the recogniser or the voice kept failing."""


class _VoiceAgent(Agent):
    """The agent as livekit sees it; taps recognised speech and marks the end of each reply."""

    def __init__(self, hearing: Hearing | None, writing: Writing) -> None:
        super().__init__(instructions=INSTRUCTIONS)
        self._hearing = hearing
        self._writing = writing

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterator[stt.SpeechEvent]:
        """Recognise speech and report it to the bridge; livekit's own events carry no times."""
        assert self._hearing is not None
        async for event in self._hearing.listen(aiter(audio)):
            yield event

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterator[Piece]:
        """Ask the model; write its answer if the person typed."""
        pieces = Agent.default.llm_node(self, chat_ctx, tools, model_settings)
        async for piece in self._writing.follow(chat_ctx, pieces):
            yield piece

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        """Speak the words of the Markdown; a silent last frame marks the reply as complete."""
        spoken = Spoken()
        async for frame in Agent.default.tts_node(self, spoken.plain(text), model_settings):
            spoken.align(frame)
            yield frame
        samples = OUTPUT_SAMPLE_RATE // 100
        last = rtc.AudioFrame(bytes(2 * samples), OUTPUT_SAMPLE_RATE, 1, samples)
        last.userdata[LAST_FRAME] = True
        spoken.finish(last)
        yield last


class Conversation:
    """Runs one conversation from the worker's `start` to `bye`, on any transport.

    Args:
        job: the conversation.
        minds: the models.
        new_transport: creates the audio transport; by default one to the server's `/audio`.
    """

    def __init__(
        self,
        job: StartJob,
        minds: Minds,
        new_transport: Callable[[Listener], AudioTransport] | None = None,
    ) -> None:
        self._job = job
        self._minds = minds
        self._person = PersonInput()
        self._transport: AudioTransport = (
            new_transport(self)
            if new_transport
            else SocketTransport(job.url, job.audio_token, self)
        )
        self._answers = Answers(self._answered, lambda: self._output.cuts)
        self._writing = Writing(self._said, self._answers.given)
        self._text = ReplyText(self._said, self._written)
        self._output = PersonOutput(self._transport, self._text)
        self._hearing = Hearing(minds.recogniser, self._heard) if minds.recogniser else None
        self._user_segment = ""
        self._agent_segment = ""
        self._agent_began = datetime.now(UTC)
        self._bridge: BridgeClient | None = None
        self._failed: asyncio.Future[str] | None = None
        self._is_hearing = False
        self._session: AgentSession[None] = self._new_session()
        # An agent that takes over a conversation does not greet again.
        self._greeting = Greeting(minds.greeting if job.attempt == 1 else "", self._say_first)

    async def run(self) -> None:
        """Hold the conversation until the server says stop.

        When cancelled, report everything heard and said so far before ending.

        Raises:
            BridgeClosed: when the server doesn't want this agent (any more).
            ConversationFailed: when livekit has given up; a new attempt may work.
        """
        job = self._job
        async with BridgeClient(job.url, job.bridge_token, ("input", "speech")) as bridge:
            self._bridge = bridge
            bridge.state("INITIALIZING")
            await self._session.start(_VoiceAgent(self._hearing, self._writing), record=False)
            # Not before: at its start, the session enables every output it finds.
            self._session.output.set_audio_enabled(False)
            carrying = asyncio.create_task(self._transport.run())
            try:
                await bridge.ready()
                reason = await self._until_over(bridge, carrying)
                await self._leave(bridge, reason, _GOODBYE)
            except asyncio.CancelledError:
                # Only this process stops; another agent may take over the conversation.
                await self._leave(bridge, "RESTARTING", _HURRIED_GOODBYE)
                raise
            finally:
                self._bridge = None
                carrying.cancel()
                await asyncio.gather(carrying, return_exceptions=True)
                await self._session.aclose()

    def on_sound(self, pcm: bytes) -> None:
        """Pass the person's audio to the recogniser."""
        if self._hearing is not None:
            self._person.put(pcm)

    def on_peer(self, peer: Peer) -> None:
        """Speak while the person is connected, and write otherwise."""
        self._output.on_peer(peer)
        if peer.connected:
            self._greeting.person_came()
        self._session.output.set_audio_enabled(peer.connected and self._minds.voice is not None)

    def on_played(self, played: Played) -> None:
        """Note what the person has heard."""
        self._output.on_played(played)

    def _new_session(self) -> AgentSession[None]:
        hears = self._minds.recogniser is not None
        session: AgentSession[None] = AgentSession(
            llm=self._minds.answers,
            # The recogniser ends turns itself. By default livekit chooses both of these, and its
            # turn detector in development mode is one of LiveKit's servers.
            vad=None,
            turn_handling={
                "turn_detection": "stt" if hears else "manual",
                "endpointing": {
                    "mode": "fixed",
                    "min_delay": _REPLY_AFTER,
                    "max_delay": _REPLY_AFTER,
                },
                # Only recognised words interrupt a reply, not a cough or a slammed door; so there
                # is nothing to resume after an interruption.
                "interruption": {
                    "enabled": True,
                    "mode": "vad",
                    "min_words": 0,
                    "resume_false_interruption": False,
                    "false_interruption_timeout": None,
                },
                "preemptive_generation": {"enabled": False},
            },
            # By default the person is not heard during the first three seconds of a reply.
            aec_warmup_duration=None,
            user_away_timeout=None,
            use_tts_aligned_transcript=True,
            # `Spoken` does this; livekit's filters keep no record of what they remove.
            tts_text_transforms=None,
            session_close_transcript_timeout=0.1,
            stt=self._minds.recogniser or NOT_GIVEN,
            tts=self._minds.voice or NOT_GIVEN,
        )
        if hears:
            session.input.audio = self._person
        session.output.audio = self._output
        session.output.transcription = self._text
        session.on("agent_state_changed", self._on_state)
        session.on("conversation_item_added", self._on_item)
        session.on("close", self._on_close)
        return session

    async def _until_over(self, bridge: BridgeClient, carrying: asyncio.Task[None]) -> str:
        """Obey the server until the conversation is over; return the reason for `bye`."""
        self._failed = asyncio.get_running_loop().create_future()
        opening = asyncio.create_task(self._open_ears())
        obeying = asyncio.create_task(self._obey(bridge))
        lost = asyncio.create_task(_failure(carrying))
        try:
            ends: set[asyncio.Future[Any]] = {obeying, lost, self._failed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise ConversationFailed(self._failed.result())
            if not obeying.done():
                # Another agent may be able to reach the person.
                log.warning("the audio transport is lost: %s", lost.result())
                return "DRAINING"
            return obeying.result()
        finally:
            for task in (opening, obeying, lost):
                task.cancel()
            await asyncio.gather(opening, obeying, lost, return_exceptions=True)

    async def _open_ears(self) -> None:
        """Report LISTENING only once the agent hears, because the person may then start to speak.

        Then greet, unless the person speaks first.
        """
        await self._transport.hears()
        self._is_hearing = True
        self._show_state(self._session.agent_state)
        await self._greeting.said()

    def _say_first(self, text: str) -> None:
        # livekit waits while the person makes a sound, and drops the greeting if it becomes words.
        # The model must not see it: some models refuse conversations that the person didn't begin.
        speech = self._session.say(text, add_to_chat_ctx=False)
        speech.add_done_callback(lambda _: self._text.settle())

    async def _obey(self, bridge: BridgeClient) -> str:
        async for command in bridge.commands(auto_ack=False):
            match command:
                case InputCommand():
                    await self._typed(command)
                case StopCommand():
                    return "STOPPED"
        return "CLOSED"

    async def _leave(self, bridge: BridgeClient, reason: str, patience: float) -> None:
        """Report the person's last words and how much of a reply was heard, then say `bye`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        if self._hearing is not None:
            await self._hearing.finish(patience / 3)
        await self._output.aclose()
        self._text.settle()
        self._writing.settle()
        await bridge.bye(reason, timeout=max(0.0, deadline - loop.time()))

    async def _typed(self, line: InputCommand) -> None:
        """Take a typed line as the person's turn; like speech, it interrupts the voice."""
        self._greeting.person_spoke()
        await self._session.interrupt()
        message = llm.ChatMessage(role="user", content=[line.text])
        speech = self._session.generate_reply(user_input=message, input_modality="text")
        self._answers.expect(line.key, speech)
        self._writing.expect(line.key, message, speech)

    def _written(self) -> Answer | None:
        """Return the answer being given now if it answers a typed line."""
        return self._writing.of(self._session.current_speech)

    def _answered(self, key: str) -> None:
        if self._bridge is not None:
            self._bridge.acknowledge(key)

    def _heard(self, heard: Heard) -> None:
        self._greeting.person_spoke()
        self._user_segment = self._user_segment or new_segment()
        self._utter(
            Utterance(
                segment=self._user_segment,
                role="USER",
                text=heard.text,
                final=heard.final,
                started_at=heard.began,
                ended_at=heard.ended,
                confidence=heard.confidence,
                language=heard.language,
            )
        )
        if heard.final:
            self._user_segment = ""

    def _said(self, said: Said) -> None:
        now = datetime.now(UTC)
        if not self._agent_segment:
            self._agent_segment, self._agent_began = new_segment(), now
        self._utter(
            Utterance(
                segment=self._agent_segment,
                role="AGENT",
                text=said.text,
                final=said.final,
                started_at=self._agent_began,
                ended_at=now if said.final else None,
                interrupted=said.interrupted,
                source="TYPED" if said.written else "SPEECH",
            )
        )
        if said.final:
            self._agent_segment = ""

    def _utter(self, utterance: Utterance) -> None:
        if self._bridge is None:
            return
        try:
            self._bridge.utter(utterance)
        except ValueError as error:
            # It exceeds a limit of the protocol. Its words must not appear in the log.
            log.warning("an utterance was not reported: %s", error)

    def _on_state(self, event: AgentStateChangedEvent) -> None:
        # livekit records every event of a session for a report that is not used here.
        self._session._recorded_events.clear()
        self._answers.on_state(event.new_state)
        self._show_state(event.new_state)

    def _show_state(self, state: str) -> None:
        if STATES[state] == "LISTENING" and not self._is_hearing:
            return
        self._transport.state(state)
        if self._bridge is not None:
            self._bridge.state(STATES[state])

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if getattr(event.item, "role", "") == "assistant":
            self._text.settle()

    def _on_close(self, event: CloseEvent) -> None:
        if event.error is not None and self._failed is not None and not self._failed.done():
            self._failed.set_result(event.error.type)


async def _failure(carrying: asyncio.Task[None]) -> BaseException:
    """Wait for the transport's error; without one wait forever, for the conversation goes on."""
    await asyncio.wait({carrying})
    if carrying.cancelled() or (error := carrying.exception()) is None:
        await asyncio.Event().wait()
    assert error is not None
    return error
