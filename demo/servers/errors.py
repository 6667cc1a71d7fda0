"""The error of the launchers: cause, place and remedy in one line."""


class ServerError(Exception):
    """A server did not start, answer or stop."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what} ({where}): {remedy}")
