"""Errors that a user can mend, with the exit code that tells a script which kind they are."""


class CommandError(Exception):
    """Ends the command with one line of explanation and without a traceback."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
