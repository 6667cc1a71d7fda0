"""The one error that set-up code raises at people: what, where, remedy, in one line."""


class SetupError(Exception):
    """Something that a person has to mend; shown without a traceback."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what} ({where}): {remedy}")
