"""Test clients: GraphQL over HTTP and graphql-transport-ws."""

import asyncio
import json
from typing import Any, Self

import httpx
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

LOGIN = "voxql_login"
WITHIN_S = 10.0


class Http:
    """A client that calls the app without a server and keeps its cookies."""

    def __init__(self, app: Starlette, url: str) -> None:
        transport = httpx.ASGITransport(app)
        self.raw = httpx.AsyncClient(transport=transport, base_url=url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.raw.aclose()

    @property
    def cookie(self) -> str | None:
        return self.raw.cookies.get(LOGIN)

    async def post(
        self, query: str, variables: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        body = {"query": query, "variables": variables}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.raw.post("/graphql", json=body, headers=names)

    async def answer(
        self, query: str, variables: dict[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.post(query, variables, **headers)).json()
        return answer

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """Return the data of an answer that must have no errors."""
        answer = await self.answer(query, variables, **headers)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    async def refusal(
        self, query: str, variables: dict[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """Return the only error of an answer."""
        [error] = (await self.answer(query, variables, **headers))["errors"]
        refusal: dict[str, Any] = error
        return refusal

    async def code(
        self, query: str, variables: dict[str, Any] | None = None, **headers: str
    ) -> str:
        """Return the code of the only error of an answer."""
        code: str = (await self.refusal(query, variables, **headers))["extensions"]["code"]
        return code


class Socket:
    """A WebSocket on which a test sends each message itself."""

    def __init__(
        self,
        url: str,
        *,
        cookie: str | None = None,
        origin: str | None = None,
        protocol: str = "graphql-transport-ws",
    ) -> None:
        headers = {} if cookie is None else {"Cookie": f"{LOGIN}={cookie}"}
        if origin is not None:
            headers["Origin"] = origin
        self._connecting = connect(
            url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[Subprotocol(protocol)],
            additional_headers=headers,
            proxy=None,
        )
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await self._connecting
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    @property
    def connection(self) -> ClientConnection:
        assert self._connection is not None, "not connected"
        return self._connection

    async def send(self, message: object) -> None:
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        await self.connection.send(text)

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def init(self, payload: object = None) -> dict[str, Any]:
        message = {"type": "connection_init"}
        await self.send(message if payload is None else {**message, "payload": payload})
        return await self.receive()

    async def subscribe(
        self, query: str, variables: dict[str, Any] | None = None, *, id: str = "1"
    ) -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"id": id, "type": "subscribe", "payload": payload})

    async def next(self, id: str = "1") -> dict[str, Any]:
        """Return the data of the next message, which must be an event of this operation."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        data: dict[str, Any] = message["payload"]["data"]
        return data

    async def error(self, id: str = "1") -> dict[str, Any]:
        """Return the only error of the next message, which must end this operation."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("error", id), message
        [error] = message["payload"]
        refusal: dict[str, Any] = error
        return refusal

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes the connection; return the close code and reason."""
        async with asyncio.timeout(WITHIN_S):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                pass
        return self.connection.close_code or 0, self.connection.close_reason or ""
