"""Group commit: what arrives while a commit is under way is committed together, so that a flood costs few of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
LARGEST = 256  # of a group; the writers in between must get their turn


class GroupCommit(Generic[T]):
    """Hands groups to `commit`, one at a time, in the order of arrival."""

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Return when the group of `item` is committed, or raise what `commit` raised for it.

        Whoever is cancelled takes nobody along: the commit is a task of its own.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="group commit")
        await done

    async def end(self) -> None:
        """Wait for what has been added."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                await self._commit_one(group)
        finally:
            self._committing = None

    async def _commit_one(self, group: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        trouble: Exception | None = None
        try:
            await self._commit([item for item, _ in group])
        except Exception as error:
            trouble = error
        for _, done in group:
            if not done.done():
                _tell(done, trouble)


def _tell(done: asyncio.Future[None], trouble: Exception | None) -> None:
    if trouble is None:
        done.set_result(None)
    else:
        done.set_exception(trouble)
