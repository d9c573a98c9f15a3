"""Replies: their text, their sound, and how much of them was heard."""
