"""The agent as a LiveKit worker, and its places."""
