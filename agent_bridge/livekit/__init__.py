"""Holds conversations in LiveKit rooms: docs/livekit.md."""
