"""Language models behind an OpenAI-compatible API, on a real HTTP server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from livekit.agents import llm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.answers import (
    BROKEN_OFF,
    UNREACHABLE,
    LlmSettings,
    OutspokenLLM,
    new_llm,
)


class Api:
    """`/v1/chat/completions` with streaming, as in OpenAI's documentation."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        self.fails_with = 0
        self.breaks_off = False
        self.holds: asyncio.Event | None = None
        """If not None, only comments follow a piece until this event is set."""
        self.url = ""
        self.pieces: tuple[str, ...] = ("The answer", " is", " forty-two.")

    async def complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("authorization"))
        if self.fails_with:
            return JSONResponse({"error": {"message": "no"}}, self.fails_with)
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        for piece in self.pieces:
            yield _event({"role": "assistant", "content": piece}, None)
            if self.breaks_off:
                raise ConnectionAbortedError
            while self.holds is not None and not self.holds.is_set():
                yield ": still there\n\n"
                await asyncio.sleep(0.01)
        yield _event({}, "stop")
        yield "data: [DONE]\n\n"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Api"]:
        app = Starlette(routes=[Route("/v1/chat/completions", self.complete, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.should_exit = True
            await serving


def _event(delta: dict[str, str], finish: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with Api().running() as api:
        yield api


async def ask(settings: LlmSettings | None, *said: str) -> list[str]:
    context = llm.ChatContext.empty()
    for text in said:
        context.add_message(role="user", content=text)
    model = new_llm(settings)
    try:
        async with model.chat(chat_ctx=context) as stream:
            return [
                chunk.delta.content async for chunk in stream if chunk.delta and chunk.delta.content
            ]
    finally:
        await model.aclose()


async def test_a_model_streams_its_answer(api: Api) -> None:
    """Model, key and history reach the API; its pieces are streamed."""
    pieces = await ask(LlmSettings(api.url, "tiny", "secret"), "What is the answer?")
    assert pieces == ["The answer", " is", " forty-two."]
    assert api.keys == ["Bearer secret"]
    assert api.requests[0]["model"] == "tiny"
    assert api.requests[0]["stream"] is True
    assert api.requests[0]["messages"] == [{"role": "user", "content": "What is the answer?"}]


async def test_a_model_of_ones_own_needs_no_key(api: Api) -> None:
    """Local servers mostly need no key."""
    assert "".join(await ask(LlmSettings(api.url, "tiny"), "Hello?")).endswith("forty-two.")


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_model_that_fails_is_told_in_words(api: Api, status: int) -> None:
    """The person hears that the model can't be reached, instead of silence."""
    api.fails_with = status
    assert await ask(LlmSettings(api.url, "tiny"), "Hello?") == [UNREACHABLE]


async def test_a_model_that_is_not_there_is_told_in_words() -> None:
    """Nothing listens on that port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = LlmSettings(f"http://127.0.0.1:{port}/v1", "tiny")
    assert await ask(settings, "Hello?") == [UNREACHABLE]


async def test_an_answer_that_breaks_off_says_so(api: Api) -> None:
    """The text so far is kept, the reason follows, and the answer is not restarted."""
    api.breaks_off = True
    pieces = await ask(LlmSettings(api.url, "tiny"), "Hello?")
    assert pieces == ["The answer", BROKEN_OFF]


async def test_a_line_that_is_held_open_without_a_word_is_given_up(api: Api) -> None:
    """Comments keep a connection alive, but are not an answer."""
    api.holds = asyncio.Event()
    model = new_llm(LlmSettings(api.url, "tiny"))
    assert isinstance(model, OutspokenLLM)
    # Enough for the first word on a busy machine; nothing more comes.
    model.patience = 10.0
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Hello?")
    try:
        async with model.chat(chat_ctx=context) as stream:
            said = [
                chunk.delta.content async for chunk in stream if chunk.delta and chunk.delta.content
            ]
    finally:
        api.holds.set()
        await model.aclose()

    assert said == ["The answer", BROKEN_OFF]


async def test_without_a_model_the_responder_answers() -> None:
    """The responder streams word by word, like a model."""
    pieces = await ask(None, "What is twelve times seven?")
    assert pieces == ["That's", " 84."]
