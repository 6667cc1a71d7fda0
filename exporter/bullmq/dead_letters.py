"""The dead-letter queue of each queue, from the inventory, because BullMQ has none."""

import re
from collections.abc import Iterable, Mapping

FAILED = "failed"
"""The setting of a product that treats a queue's failed jobs as its dead letters."""


class DeadLetters:
    """The setting `dead_letter`: a pattern (`{name}-dlq`), a map, `failed`, or None."""

    def __init__(self, setting: str | Mapping[str, str] | None) -> None:
        self.in_failed = setting == FAILED
        self._mapping = setting if isinstance(setting, Mapping) else {}
        self._pattern = setting if isinstance(setting, str) and not self.in_failed else ""
        before, _, after = self._pattern.partition("{name}")
        self._shape = re.compile(f"{re.escape(before)}(.+){re.escape(after)}", re.DOTALL)

    def queues_of(self, names: Iterable[str]) -> dict[str, str | None]:
        """Return each queue with its dead-letter queue, or None; neither needs to exist yet.

        Dead-letter queues themselves are left out.
        """
        if self._pattern:
            queues = (match[1] if (match := self._shape.fullmatch(name)) else name for name in names)
            return {queue: self._pattern.replace("{name}", queue) for queue in queues}
        dead_letter_queues = set(self._mapping.values())
        by_queue: dict[str, str | None] = {
            name: None for name in names if self._mapping and name not in dead_letter_queues
        }
        return by_queue | dict(self._mapping)
