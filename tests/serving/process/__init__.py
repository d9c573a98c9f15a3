"""The processes: the server, its agent, its log, and how they start and stop."""
