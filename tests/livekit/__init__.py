"""Conversations over a real LiveKit server: VoxQL's calls to it, and its webhooks."""
