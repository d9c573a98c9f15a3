"""Connects VoxQL with the agents that hear and speak for it."""
