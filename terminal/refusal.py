"""Errors that stop a conversation in the terminal, with messages for the person."""


class CannotTalk(Exception):
    """The conversation can't go on; the message says what is wrong and what to do about it."""


class RefusedByServer(Exception):
    """The server refused an operation.

    Args:
        message: the server's sentence.
        code: its stable code, such as `NOT_FOUND`; empty if it gave none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
