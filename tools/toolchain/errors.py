"""The error of the set-up: cause, place and remedy in one line."""


class SetupError(Exception):
    """A problem that the user has to fix; printed without a traceback."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what} ({where}): {remedy}")
