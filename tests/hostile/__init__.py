"""Hostile input to a whole server: its response, and what is stored afterwards."""
