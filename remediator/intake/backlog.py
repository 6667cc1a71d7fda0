"""The deliveries that were accepted, and that nothing has been made of yet: there may be so many, and no more."""

MAX_DELIVERIES = 10_000  # at that point something is wrong here, and Alertmanager's repetitions only add to it


class Backlog:
    """How many wait, as far as this process knows: counted in the ledger at each round, and every one since."""

    def __init__(self) -> None:
        self.size = 0

    @property
    def is_full(self) -> bool:
        return self.size >= MAX_DELIVERIES

    def add(self) -> None:
        """One more waits."""
        self.size += 1

    def set_size(self, size: int) -> None:
        """So many wait in the ledger."""
        self.size = size
