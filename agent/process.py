"""The agent's process: loads the models, then serves as a worker until stopped."""

import asyncio
import ctypes
import logging
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from livekit.agents import stt, tts

from agent.answers import LlmSettings, greeting, new_llm
from agent.conversation import Conversation, Minds
from agent.speech import SpeechMissing, load_recogniser, load_voice
from agent_bridge.client.link import BridgeClosed
from agent_bridge.client.worker import StartJob, Worker

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

PLACES_A_CORE: Final = 3
"""Concurrent conversations for each core. Measurements with five a core showed no growing lag (see
docs/speech.md); the rest is for the server, which usually shares the machine."""


_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""From glibc's malloc.h."""


def cores() -> int:
    """Return the number of processors available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_memory_flat() -> None:
    """Make glibc return decoding memory to the system at once; elsewhere do nothing.

    By default glibc raises its mmap threshold each time a large block is freed. The size of the
    process then fluctuates by 20 MB, which hides leaks.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
        mallopt(_M_ARENA_MAX, 2)


async def load_minds(
    llm: LlmSettings | None, *, recogniser: str, voice: str, greets: bool
) -> Minds:
    """Load the models that all conversations share; takes a second or two.

    A missing speech package is logged, and the agent works without it.
    """
    # livekit-agents accepts plugins only from the main thread.
    answers = new_llm(llm)
    hears, says = await asyncio.to_thread(_load_speech, recogniser, voice)
    return Minds(answers, hears, says, greeting(llm) if greets else "")


def _load_speech(recogniser: str, voice: str) -> tuple[stt.STT[Any] | None, tts.TTS[Any] | None]:
    keep_memory_flat()
    with ThreadPoolExecutor(2) as threads:
        hears = threads.submit(_unless_missing, load_recogniser, recogniser)
        says = threads.submit(_unless_missing, load_voice, voice)
        return hears.result(), says.result()


def _unless_missing(load: Callable[[str], Loaded], name: str) -> Loaded | None:
    try:
        return load(name)
    except SpeechMissing as missing:
        log.warning("%s; this agent does without: people type, or read what it says", missing)
        return None


async def run_agent(
    url: str,
    worker_key: str,
    agent_names: Sequence[str],
    places: int | None = None,
    llm: LlmSettings | None = None,
    *,
    recogniser: str = "moonshine",
    voice: str = "hibari",
    greets: bool = True,
) -> None:
    """Serve conversations until cancelled; load the models before offering any place.

    Args:
        url: The server's address, http(s) or ws(s).
        worker_key: The key by which the server recognises its workers.
        agent_names: The names by which clients request this agent.
        places: The number of concurrent conversations; by default `PLACES_A_CORE` for each core.
        llm: The model that answers; None for the built-in demo.
        recogniser: A name in `agent.speech.RECOGNISERS`, or `module:function`.
        voice: A name in `agent.speech.VOICES`, or `module:function`.
        greets: Whether the agent speaks first in a new conversation.

    Raises:
        BridgeClosed: When the server rejects this worker, for example because its key is wrong.
    """
    keep_words_out_of_logs()
    minds = await load_minds(llm, recogniser=recogniser, voice=voice, greets=greets)
    log.info("the agent's models are loaded")
    try:
        await serve(url, worker_key, agent_names, minds, places)
    finally:
        await minds.answers.aclose()


async def serve(
    url: str,
    worker_key: str,
    agent_names: Sequence[str],
    minds: Minds,
    places: int | None = None,
) -> None:
    """Serve conversations with loaded models; see `run_agent`."""

    async def converse(job: StartJob) -> None:
        try:
            await Conversation(job, minds).run()
        except BridgeClosed as closed:
            log.info("the agent of %s was not wanted: %s", job.session, closed.code.name)

    worker = Worker(
        url,
        worker_key,
        agent_names=agent_names,
        places=PLACES_A_CORE * cores() if places is None else places,
        on_start=converse,
    )
    await worker.run()


def keep_words_out_of_logs() -> None:
    """Limit livekit's logs to warnings, without people's words; lower levels quote what is said."""
    for name in ("livekit", "livekit.agents", "livekit.plugins.openai", "openai", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("livekit.agents").addFilter(_without_words)


def _without_words(record: logging.LogRecord) -> bool:
    for name in [name for name in vars(record) if name.startswith("lk.pii.")]:
        delattr(record, name)
    return True
