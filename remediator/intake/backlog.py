"""The deliveries that were accepted, and that nothing has been made of yet: there may be so many, and no more."""

MAX_WAITING = 10_000  # at that point something is wrong here, and Alertmanager's repetitions only add to it


class Backlog:
    """How many wait, as far as this process knows: counted in the ledger at each round, and every one since."""

    def __init__(self) -> None:
        self.waiting = 0

    @property
    def full(self) -> bool:
        return self.waiting >= MAX_WAITING

    def accepted(self) -> None:
        """One more waits."""
        self.waiting += 1

    def counted(self, waiting: int) -> None:
        """So many wait in the ledger."""
        self.waiting = waiting
