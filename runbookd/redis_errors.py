"""Explains Redis errors without the credentials that they repeat."""

from runbookd.network_errors import network_error_text

_REPEATED = ", with args"


def redis_error_text(error: Exception) -> str:
    """Return the message of `error` without the command's arguments, such as AUTH's password."""
    if isinstance(error.__context__, OSError):  # redis-py repeats the system's words
        return network_error_text(error.__context__)
    return str(error).partition(_REPEATED)[0]
