"""Serving: port, database, agent and app, brought up in order and taken down in order."""
