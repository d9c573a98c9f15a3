"""The agent's language models: the built-in responder, or an OpenAI-compatible API."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from livekit.agents import APIError, llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.agents.utils import shortuuid

from agent.demo.responder import GREETING, respond

GREETING_OF_A_MODEL: Final = "Hello! How can I help?"
"""Said without asking the model, so at once, and even if the model can't be reached."""
UNREACHABLE: Final = "I'm sorry, I can't reach my language model right now. Please try again."
BROKEN_OFF: Final = " I'm sorry, I lost the connection to my language model."
_REMEMBERED: Final = 40
"""The number of recent messages sent to a model; older ones would only slow it down."""
PATIENCE_S: Final = 10.0
"""Longest wait, in seconds, for the first chunk of an answer and between chunks."""
_PATIENCE: Final = APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=PATIENCE_S)


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """How to reach an OpenAI-compatible API."""

    base_url: str
    """Without the trailing `/chat/completions`."""
    model: str
    api_key: str = field(default="", repr=False)


class Responder(llm.LLM[Any]):
    """The built-in demo as a language model; it needs no network and answers at once."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now().astimezone()) -> None:
        super().__init__()
        self.clock = clock

    @property
    def model(self) -> str:
        """The name of the model."""
        return "responder"

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return "local"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Answer the person's last message."""
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Answer(llm.LLMStream):
    _llm: Responder

    async def _run(self) -> None:
        said = [
            message.text_content or ""
            for message in self._chat_ctx.items
            if isinstance(message, llm.ChatMessage) and message.role == "user"
        ]
        request = shortuuid("answer_")
        for piece in re.findall(r"\s*\S+", respond(said, self._llm.clock())):
            self._event_ch.send_nowait(_chunk(request, piece))


class OutspokenLLM(llm.LLM[Any]):
    """Wraps a language model and tells the person when it can't be reached.

    Args:
        inner: the wrapped model.
        patience: the longest wait; see `PATIENCE_S`.
    """

    def __init__(self, inner: llm.LLM[Any], patience: float = PATIENCE_S) -> None:
        super().__init__()
        self.inner = inner
        self.patience = patience

    @property
    def model(self) -> str:
        """The name of the wrapped model."""
        return self.inner.model

    @property
    def provider(self) -> str:
        """The provider of the wrapped model."""
        return self.inner.provider

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Answer, or say why there is no answer."""
        recent = chat_ctx.copy().truncate(max_items=_REMEMBERED)
        return _Outspoken(self, chat_ctx=recent, tools=tools or [], conn_options=_PATIENCE)

    async def aclose(self) -> None:
        """Close the connections."""
        await super().aclose()
        await self.inner.aclose()


class _Outspoken(llm.LLMStream):
    _llm: OutspokenLLM

    async def _run(self) -> None:
        has_spoken = False
        request = shortuuid("answer_")
        try:
            async with self._llm.inner.chat(
                chat_ctx=self._chat_ctx, tools=self._tools, conn_options=self._conn_options
            ) as stream:
                async for chunk in _in_time(stream, self._llm.patience):
                    has_spoken = has_spoken or chunk.has_response()
                    self._event_ch.send_nowait(chunk)
        except (APIError, TimeoutError):
            self._event_ch.send_nowait(_chunk(request, BROKEN_OFF if has_spoken else UNREACHABLE))
            return
        if not has_spoken:
            self._event_ch.send_nowait(_chunk(request, "My language model had no answer to that."))


async def _in_time(stream: llm.LLMStream, patience: float) -> AsyncGenerator[llm.ChatChunk, None]:
    """Yield the chunks; give up on a connection that stays open but sends nothing.

    Raises:
        TimeoutError: when no chunk arrives for `patience` seconds.
    """
    while True:
        try:
            async with asyncio.timeout(patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        yield chunk


def new_llm(settings: LlmSettings | None) -> llm.LLM[Any]:
    """Return the model that the settings describe; without settings, the built-in demo."""
    if settings is None:
        return Responder()
    from livekit.plugins import openai

    return OutspokenLLM(
        openai.LLM(
            model=settings.model,
            base_url=settings.base_url,
            # The client requires a key; most local servers don't.
            api_key=settings.api_key or "none",
        )
    )


def greeting(settings: LlmSettings | None) -> str:
    """Return the agent's greeting."""
    return GREETING if settings is None else GREETING_OF_A_MODEL


def _chunk(request: str, text: str) -> llm.ChatChunk:
    return llm.ChatChunk(id=request, delta=llm.ChoiceDelta(role="assistant", content=text))
