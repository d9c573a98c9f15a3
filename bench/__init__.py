"""Measures VoxQL against the lowest cost of the same work on the same machine."""
