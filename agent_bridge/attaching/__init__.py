"""One line in anybody's livekit-agents entrypoint: every word of the conversation reaches VoxQL.

What comes from livekit-agents is told by its shape, never imported: this becomes a part of
`voxql-bridge`, which is installed beside whatever version of it an agent uses.
"""

from .announcing import announce
from .attachment import Attachment, attach

__all__ = ["Attachment", "announce", "attach"]
