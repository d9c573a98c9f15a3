"""Conversations of a page that go through LiveKit rooms."""
