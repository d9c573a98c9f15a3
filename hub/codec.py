"""Encodes events for a hub that reaches other processes."""

from functools import cache

import msgspec

from hub import events
from hub.events import Event

_encode = msgspec.msgpack.Encoder().encode


def encode(event: Event) -> bytes:
    """Encode an event."""
    if isinstance(event, events.InterimHeard | events.TranscriptCommitted):
        # This process's clock readings mean nothing in another process.
        event = msgspec.structs.replace(event, heard_at=None)
    return _encode(event)


def decode(data: bytes) -> Event:
    """Decode an event.

    Raises:
        msgspec.MsgspecError: The bytes are not an event.
    """
    event: Event = _decoder().decode(data)
    return event


@cache
def _decoder() -> "msgspec.msgpack.Decoder[Event]":
    kinds = Event.__subclasses__()
    union = kinds[0]
    for kind in kinds[1:]:
        union |= kind  # type: ignore[assignment] # a union of types is built at run time
    return msgspec.msgpack.Decoder(union)
