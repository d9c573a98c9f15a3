"""The hub: events, their bytes, and what waits for their readers."""
