"""Bring your own voice agent to VoxQL: `attach` for LiveKit agents, `Worker` for all others."""

# In the wheel `voxql-bridge` this file is `voxql_bridge/__init__.py` (clients/python).

from .attaching import Attachment, announce, attach
from .client.bridge import BridgeClient, new_segment
from .client.inbox import Command, InputCommand, StopCommand
from .client.link import Backoff, BridgeClosed, socket_url
from .client.worker import StartJob, Worker
from .protocol import CloseCode, Role, Source, State, Unacceptable, Utterance

__all__ = [
    "Attachment",
    "Backoff",
    "BridgeClient",
    "BridgeClosed",
    "CloseCode",
    "Command",
    "InputCommand",
    "Role",
    "Source",
    "StartJob",
    "State",
    "StopCommand",
    "Unacceptable",
    "Utterance",
    "Worker",
    "announce",
    "attach",
    "new_segment",
    "socket_url",
]
