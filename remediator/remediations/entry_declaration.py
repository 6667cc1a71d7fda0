"""The parameters, the undo and the end that an entry of `commands` declares in the inventory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from remediator.model.parameters import Parameter, Value
from remediator.model.remediation import Declaration, Scope, TargetName, Undo, UndoWhen
from runbookd.inventory import Stack
from runbookd.inventory.commands import CommandEntry, CommandTarget, RequestEntry
from runbookd.inventory.parameters import CommandParameter

BY_ENTRY = Undo("exact", "Does the entry's own undo; an entry without one is undone by hand.")
NO_UNDO = Undo("none", "The entry has no undo; undo it by hand.")


@dataclass(frozen=True)
class EntryParameter:
    """A parameter as the inventory declares it."""

    declared: CommandParameter

    @property
    def help(self) -> str:
        """See Parameter."""
        return self.declared.meaning()

    @property
    def required(self) -> bool:
        """See Parameter."""
        return self.declared.default is None

    def parse(self, text: str) -> Value:
        """See Parameter."""
        written = self.declared.text_of(text)
        if self.declared.type == "duration":
            return timedelta(seconds=int(written))
        return int(written) if self.declared.type == "int" else written


def declare(stack: Stack, target: TargetName) -> Declaration:
    """Return what the entry declares."""
    entry = stack.commands[target.name]
    return Declaration(_parameters_of(entry), _undo_of(entry))


def end_of(scope: Scope) -> UndoWhen | None:
    """Return the end that `for` sets."""
    entry = scope.stack.commands[scope.target.name]
    return None if entry.ends_after is None else UndoWhen(entry.ends_after)


def _parameters_of(entry: CommandTarget) -> Mapping[str, Parameter]:
    return {name: EntryParameter(parameter) for name, parameter in entry.parameters.items()}


def _undo_of(entry: CommandTarget) -> Undo:
    has_undo = isinstance(entry, CommandEntry | RequestEntry) and entry.undo is not None
    return BY_ENTRY if has_undo else NO_UNDO
