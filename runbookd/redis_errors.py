"""Removes credentials from Redis error messages."""

_REPEATED = ", with args"


def redis_error_text(error: Exception) -> str:
    """Return the message of `error` without the command's arguments, such as AUTH's password."""
    return str(error).partition(_REPEATED)[0]
