"""The LiveKit backend and its parts."""
