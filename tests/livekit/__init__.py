"""Conversations over a real LiveKit server, and what is told to it and by it."""
