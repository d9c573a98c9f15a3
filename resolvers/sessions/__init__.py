"""Conversations: how they begin, go on, are saved, listed and deleted."""
