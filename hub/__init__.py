"""Delivers events to their readers."""
