"""Runs the server: starts and stops the port, the database, the agent and the app in order."""
