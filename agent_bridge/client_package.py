"""Bring your own voice agent to VoxQL: `attach` for LiveKit agents, `Worker` for all others."""

# In the wheel `voxql-bridge` this file is `voxql_bridge/__init__.py` (clients/python).

from .attaching import Attachment, announce, attach
from .client import BridgeClient, new_segment
from .client_inbox import Command, InputCommand, StopCommand
from .client_link import Backoff, BridgeClosed, socket_url
from .protocol import CloseCode, Role, Source, State, Unacceptable, Utterance
from .worker_client import StartJob, Worker

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
