"""Connects an agent of livekit-agents to VoxQL with one line in its entrypoint.

This becomes part of `voxql-bridge`, which is installed beside any version of livekit-agents. So it
never imports livekit-agents; it relies on the shape of its objects only.
"""

from .announcing import announce
from .attachment import Attachment, attach

__all__ = ["Attachment", "announce", "attach"]
