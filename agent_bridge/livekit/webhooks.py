"""Receives LiveKit's webhooks; refuses those that are unsigned or old."""

import base64
import binascii
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import jwt
import structlog
from google.protobuf.json_format import Parse, ParseError
from livekit import api
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

log = structlog.get_logger(__name__)

BODY_LIMIT: Final = 512 * 1024
"""Bytes. A room's and a participant's metadata may have 64 KiB each, more as JSON."""
FRESH_S: Final = 300.0
"""How old a webhook may be, in seconds, LiveKit's own delivery attempts included; clocks may differ
by as much."""
REMEMBERED: Final = 10_000
"""Ids that are kept to recognise a repeated webhook."""
OF_PEOPLE: Final = frozenset(
    {
        "participant_joined",
        "participant_left",
        "participant_connection_aborted",
        "room_started",
        "room_finished",
    }
)
"""Events that make it worthwhile to check the room."""


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Webhooks:
    """The webhook endpoint.

    Args:
        key: The API key with which LiveKit signs webhooks.
        secret: The secret of that key.
        look_soon: Called with the room of an event.
        count: Called with each outcome: `taken`, `repeated` or `refused`.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        look_soon: Callable[[str], None],
        count: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = api.TokenVerifier(key, secret)
        self._look_soon = look_soon
        self._count = count
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def endpoint(self, request: Request) -> Response:
        """Answer one POST: 200 if it is accepted, or was before."""
        try:
            event = self._read(await _body(request), request.headers.get("authorization", ""))
        except _Refused as refused:
            log.warning("webhook_refused", reason=str(refused))
            self._count("refused")
            return PlainTextResponse(f"{refused}\n", status_code=refused.status)
        if event.id in self._seen:
            self._count("repeated")
            return PlainTextResponse("This has come before.\n")
        self._remember(event.id)
        self._count("taken")
        if event.event in OF_PEOPLE and event.room.name:
            self._look_soon(event.room.name)
        return PlainTextResponse("Thank you.\n")

    def _read(self, body: bytes, authorization: str) -> api.WebhookEvent:
        self._check_signature(body, authorization.removeprefix("Bearer ").strip())
        try:
            event = Parse(body, api.WebhookEvent(), ignore_unknown_fields=True)
        except (ParseError, UnicodeDecodeError, RecursionError):
            raise _Refused(400, "The body is not a webhook event.") from None
        if not event.id:
            raise _Refused(400, "The event has no id.")
        if abs(self._clock() - event.created_at) > FRESH_S:
            raise _Refused(400, "The event is too old, or one of the clocks is wrong.")
        return event

    def _check_signature(self, body: bytes, token: str) -> None:
        """Check the signature, and that it is for this body.

        `livekit.api.WebhookReceiver` does the same, but its errors can't be told from faults.
        """
        if not token:
            raise _Refused(401, "The Authorization header with LiveKit's signature is missing.")
        try:
            claims = self._verifier.verify(token)
            signed = base64.b64decode(claims.sha256 or "", validate=True)
        except (jwt.InvalidTokenError, binascii.Error, UnicodeError, ValueError, TypeError):
            raise _Refused(401, "The signature is not that of our LiveKit key.") from None
        if not hmac.compare_digest(signed, hashlib.sha256(body).digest()):
            raise _Refused(401, "The body is not the one that was signed.")

    def _remember(self, id_: str) -> None:
        self._seen[id_] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise _Refused(413, "The body is larger than a webhook ever is.")
    return bytes(body)
