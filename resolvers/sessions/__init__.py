"""Starts, continues, saves, lists and deletes conversations."""
