"""Conversations in LiveKit rooms: docs/livekit.md."""
