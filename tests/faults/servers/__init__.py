"""Servers that are killed, that have faults, or whose power is cut."""
