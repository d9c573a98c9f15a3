"""Reads, checks and runs operations: documents, cost, limits, variables, events."""
