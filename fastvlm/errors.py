"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Bad input: the message is one line that says what was wrong, where, and what was expected.

    The command line prints it without a traceback and exits with 2.
    """
