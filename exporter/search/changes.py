"""Remembers when the documents of each index were last seen to change: the cluster itself does not tell."""

from collections.abc import Collection

State = tuple[float | None, ...]


class Changes:
    """The last change of each index, since the first reading of this process."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[State, float]] = {}

    def last(self, index: str, state: State, now: float) -> float:
        """Record the numbers of an index now; return when they last changed, in seconds since 1970."""
        known = self._seen.get(index)
        if known is None or known[0] != state:
            self._seen[index] = known = state, now
        return known[1]

    def forget_all_but(self, indices: Collection[str]) -> None:
        """Forget the indices that are gone."""
        for name in self._seen.keys() - set(indices):
            del self._seen[name]
