"""BullMQ queues: their prefixes, names and dead-letter queues."""

from datetime import timedelta
from types import NoneType
from typing import Annotated, Literal

from runbookd.inventory.archive import Archive
from runbookd.inventory.constraints import BeforeValidator, Constraint, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, must_hold

Prefix = Annotated[str, StringConstraints(min_length=1)]


def _check_kind(description: str, *kinds: type) -> Constraint:
    """Report a wrong or empty value as one line; pydantic would report one line per accepted type."""

    def check(value: object) -> object:
        if not isinstance(value, kinds) or value in ("", [], ()):
            raise ValueError(f"must be {description}")
        return value

    return BeforeValidator(check)


def _reject_other_names(value: object) -> object:
    if value != "discover" and not isinstance(value, list | tuple):
        raise ValueError("must be a list of queues, or 'discover'")
    return value


_check_names = BeforeValidator(_reject_other_names)


class QueueTarget(Section):
    """The BullMQ queues of one or more prefixes in a Redis database of the same stack.

    With several prefixes, queue names include theirs: `bull:mail`. `dead_letter` is the pattern of a dead-letter
    queue's name, with `{name}` for the queue's; or a map of queues to dead-letter queues; or `failed` if the failed
    jobs of a queue are its dead letters. `archive` is the place to which they are exported.
    """

    redis: Name
    prefix: Annotated[
        Prefix | Annotated[tuple[Prefix, ...], Field(min_length=1)],
        _check_kind("a prefix or a list of them", str, list, tuple),
    ] = "bull"
    names: Annotated[Literal["discover"] | tuple[str, ...], _check_names] = "discover"
    dead_letter: Annotated[
        str | dict[str, str] | None,
        _check_kind("a pattern such as '{name}-dlq', a map of queues to theirs, or 'failed'", str, dict, NoneType),
    ] = None
    archive: Archive | None = None
    refresh: Duration = timedelta(minutes=1)

    def dead_letter_of(self, queue: str) -> str | None:
        """Return the dead-letter queue of a queue; the queue itself if its failed jobs are the dead letters."""
        if isinstance(self.dead_letter, str):
            return queue if self.dead_letter == "failed" else self.dead_letter.replace("{name}", queue)
        return (self.dead_letter or {}).get(queue)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes, even if there is only one."""
        return (self.prefix,) if isinstance(self.prefix, str) else self.prefix

    def key_of(self, queue: str) -> str | None:
        """Return the key prefix of a queue; None if its name has none of several prefixes."""
        if len(self.prefixes) == 1:
            return f"{self.prefixes[0]}:{queue}"
        return queue if any(queue.startswith(f"{prefix}:") for prefix in self.prefixes) else None

    def owns(self, queue: str) -> bool:
        """Return whether the queue is listed, or its name has no colon after the prefix.

        Another product's prefix may begin with this one: `bull:tenant2:mail` is the queue mail of `bull:tenant2`.
        """
        if isinstance(self.names, tuple):
            return queue in self.names
        names = [queue] if len(self.prefixes) == 1 else [queue.removeprefix(f"{each}:") for each in self.prefixes]
        return self.key_of(queue) is not None and any(name and ":" not in name for name in names)

    @must_hold
    def _dead_letter_names_the_queue(self) -> None:
        if isinstance(self.dead_letter, str) and self.dead_letter != "failed" and "{name}" not in self.dead_letter:
            raise ValueError("dead_letter must contain {name}, as in '{name}-dlq', or be 'failed' or a map of queues")
        if self.names == ():
            raise ValueError("names is empty; list the queues or write 'discover'")

    @must_hold
    def _names_have_their_prefix(self) -> None:
        names = () if isinstance(self.names, str) else self.names
        dead_letters = self.dead_letter if isinstance(self.dead_letter, dict) else {}
        if wrong := [name for name in (*names, *dead_letters, *dead_letters.values()) if self.key_of(name) is None]:
            raise ValueError(
                f"{wrong[0]!r} has no prefix; with several prefixes write each queue with its own, as in 'bull:mail'"
            )
        pattern = self.dead_letter if isinstance(self.dead_letter, str) and self.dead_letter != "failed" else "{name}"
        if len(self.prefixes) > 1 and not pattern.startswith("{name}"):
            raise ValueError("with several prefixes dead_letter must start with {name}, as in '{name}-dlq'")
