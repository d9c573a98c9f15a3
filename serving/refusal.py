"""The exception of a server that can't start."""


class CannotServe(Exception):
    """The server can't start; the message says why and what to do."""
