"""Carries events from a commit to their readers."""
