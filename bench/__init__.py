"""Measures VoxQL against the least that the same work can cost on the same machine."""
