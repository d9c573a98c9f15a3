"""A client of the server's GraphQL interface: operations over HTTP, and the login."""

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any, Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from terminal.refusal import CannotTalk, RefusedByServer

_TIMEOUT_S: Final = 20.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Json = dict[str, Any]


class GraphQLClient:
    """Runs operations at one server, with one login.

    Args:
        url: its address, as people write it: `http://127.0.0.1:8000`.
        token: an API token; without one, `sign_in` creates a guest.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CannotTalk(f"{url!r} is not a server's address; expected http://host:port.")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.is_here = parts.hostname in _LOOPBACK
        """Whether the server is on this machine, so that no proxy is used."""
        try:
            self._port = parts.port
        except ValueError:
            raise CannotTalk(f"{url!r} has no valid port; expected http://host:port.") from None
        self._token = token
        self._cookies = CookieJar()
        handlers = [HTTPCookieProcessor(self._cookies)]
        self._opener = build_opener(*handlers, *([ProxyHandler({})] if self.is_here else []))

    @property
    def is_guest(self) -> bool:
        """Whether `sign_in` creates a guest."""
        return not self._token

    @property
    def proxy(self) -> Literal[True] | None:
        """The proxy argument for `websockets`: True to find proxies itself, None to use none."""
        return None if self.is_here else True

    def socket_url(self, path: str) -> str:
        """Return the WebSocket address of a path."""
        scheme, netloc, *_ = urlsplit(self.url)
        return urlunsplit(("wss" if scheme == "https" else "ws", netloc, path, "", ""))

    @property
    def socket_headers(self) -> dict[str, str]:
        """The headers that identify this login in a WebSocket handshake."""
        if self._token:
            return {"Authorization": f"Bearer {self._token}"}
        request = Request(self.url + "/graphql")  # noqa: S310 - the scheme was checked
        self._cookies.add_cookie_header(request)
        cookie = request.get_header("Cookie")
        return {"Cookie": cookie} if cookie else {}

    async def sign_in(self) -> None:
        """Sign in: with the token, or as a new guest."""
        if self._token:
            data = await self.run("{ viewer { id } }")
            if data["viewer"] is None:
                raise CannotTalk("VOXQL_TOKEN is not a token of this server.")
        else:
            await self.run("mutation { signInAsGuest { viewer { id } } }")

    async def run(self, query: str, variables: Mapping[str, object] | None = None) -> Json:
        """Run a query or mutation and return its data.

        Raises:
            RefusedByServer: when the server refuses the operation.
            CannotTalk: when there is no server, or something else answers there.
        """
        body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
        answer = _answer(await asyncio.to_thread(self._post, body), self.url)
        errors = answer.get("errors")
        if errors:
            extensions = errors[0].get("extensions") or {}
            raise RefusedByServer(str(errors[0].get("message")), str(extensions.get("code", "")))
        data: Json = answer["data"]
        return data

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(self.url + "/graphql", body, headers)  # noqa: S310 - the scheme was checked
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                content: bytes = response.read()
        except HTTPError as error:
            # The body of a refusal says more than its status.
            with error:
                content = error.read()
        except (URLError, OSError, HTTPException) as error:
            raise self.unreachable(error) from None
        return content

    def unreachable(self, error: Exception) -> CannotTalk:
        """Return an error that says why the server can't be reached, and what helps."""
        failed = f"Can't reach the server at {self.url}: {_why(error)}."
        if not self.is_here:
            return CannotTalk(
                f"{failed} Check the address (--url or VOXQL_URL) and your network, then try again."
            )
        port = "" if self._port in (None, 8000) else f"VOXQL_PORT={self._port} "
        return CannotTalk(f"{failed} Start it with:  {port}make serve")


def _why(error: Exception) -> str:
    """Describe an error in words; the system's own messages contain numbers for programs."""
    reason = getattr(error, "reason", error)
    match reason:
        case ConnectionRefusedError():
            return "nothing listens there"
        case socket.gaierror():
            return "there is no host of this name"
        case TimeoutError():
            return "it does not answer"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid ({reason.verify_message})"
        case ssl.SSLError():
            return "it does not speak TLS; is it http:// and not https://?"
        case InvalidStatus():
            return f"it answers with HTTP status {reason.response.status_code}"
        case ConnectionError() | ConnectionClosed() | HTTPException() | WebSocketException():
            return "the connection is lost"
        case OSError() if reason.strerror:
            return reason.strerror[0].lower() + reason.strerror[1:]
    return str(reason) or type(reason).__name__


def _answer(content: bytes, url: str) -> Json:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not ("data" in answer or answer.get("errors")):
        raise CannotTalk(
            f"What answers at {url}/graphql is not a VoxQL server. Give its address with --url."
        )
    return answer
