"""Searches every state that a model can reach, breadth first, so that the first counterexample is a shortest one."""

import gc
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Step(NamedTuple):
    """One step that is possible in a state: its description, and the state after it. A fault counts as no progress."""

    words: str
    state: Any
    is_fault: bool = False


class Model(Protocol):
    """What is searched. States with the same key differ only in the names of the replicas: one of them is visited."""

    @property
    def start(self) -> Any: ...
    def steps(self, state: Any) -> Iterable[Step]: ...
    def broken(self, state: Any) -> str | None: ...
    def is_at_rest(self, state: Any) -> bool: ...
    def key(self, state: Any) -> Hashable: ...


@dataclass(frozen=True)
class Result:
    """The number of states; the broken property and the steps that lead there, if there is one."""

    states: int
    broken: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the counterexample in words."""
        if self.broken is None:
            return f"{self.states:,} states, and every property holds in all of them"
        lines = [f"{number:3}. {words}" for number, words in enumerate(self.trace, 1)]
        return "\n".join([f"a counterexample after {self.states:,} states:", *lines, f"  => {self.broken}"])


STUCK = "whatever follows, the work does not come to rest"


def search(model: Model) -> Result:
    """Visit every state; stop at one with a broken property, or from which no steps but faults lead to rest."""
    gc.disable()  # millions of tuples and no cycle
    try:
        return _search(model)
    finally:
        gc.enable()


def _search(model: Model) -> Result:
    states, parents = [model.start], [(0, "")]
    number_of = {model.key(model.start): 0}
    came_from: list[list[int]] = [[]]  # by steps that are no faults
    queue = deque([0])
    while queue:
        current = queue.popleft()
        if (reason := model.broken(states[current])) is not None:
            return Result(len(states), reason, _trace(parents, current))
        for words, following, is_fault in model.steps(states[current]):
            number = number_of.setdefault(model.key(following), len(states))
            if number == len(states):
                states.append(following)
                parents.append((current, words))
                came_from.append([])
                queue.append(number)
            if not is_fault:
                came_from[number].append(current)
    stuck = _first_stuck(came_from, [number for number, state in enumerate(states) if model.is_at_rest(state)])
    return Result(len(states)) if stuck is None else Result(len(states), STUCK, _trace(parents, stuck))


def _trace(parents: Sequence[tuple[int, str]], number: int) -> tuple[str, ...]:
    steps = []
    while number:
        number, words = parents[number]
        steps.append(words)
    return tuple(reversed(steps))


def _first_stuck(came_from: Sequence[Sequence[int]], at_rest: Sequence[int]) -> int | None:
    """Return the first state from which no state at rest can be reached, walking backwards from those."""
    can_rest, waiting = set(at_rest), list(at_rest)
    while waiting:
        for earlier in came_from[waiting.pop()]:
            if earlier not in can_rest:
                can_rest.add(earlier)
                waiting.append(earlier)
    return next((number for number in range(len(came_from)) if number not in can_rest), None)
