"""What a Redis says when it refuses, fit for people to read."""

_REPEATED = ", with args"


def redis_error_text(error: Exception) -> str:
    """Return the words of `error` without what it repeats of the command: a refused AUTH has the password in it."""
    return str(error).partition(_REPEATED)[0]
