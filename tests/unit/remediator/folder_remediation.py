"""A small real remediation for tests of the engine: it removes files from a folder, one file per item.

A test injects a fault by `before` and `after`, awaited around the real effect, or `before_reading`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from remediator.model.errors import TargetUnreachable
from remediator.model.parameters import DurationParameter, NameParameter
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    EffectOutcome,
    Identity,
    Item,
    ItemState,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    TargetKind,
    Undo,
    UndoWhen,
    Verdict,
)

EXACT = Undo("exact", "A run writes the removed files again.")
NO_UNDO = Undo("none", "A removed file is gone.")


def _write_fix(scope: Scope, causes: Sequence[Cause]) -> Fix:
    return Fix(f"Rotate the files of {scope.target}.", "\n".join(map(str, causes)), "shell")


ROTATE = PermanentFix(_write_fix, names=("name",), traits=("size",))


async def no_fault() -> None:
    """Inject no fault."""


@dataclass
class FolderRemediation:
    """The folder and its injected faults. `touched` lists every removal that was really made."""

    folder: Path
    one_effect: bool = False
    reachable: bool = True
    before: Callable[[], Awaitable[None]] = no_fault
    after: Callable[[], Awaitable[None]] = no_fault
    before_reading: Callable[[], Awaitable[None]] = no_fault
    before_plan: Callable[[], Awaitable[None]] = no_fault
    refill: bool = False
    timeout: timedelta = timedelta(seconds=5)
    touched: list[str] = field(default_factory=list)
    open_count: int = 0
    empty_reason: str = ""
    detail: str = ""
    lookback: timedelta = timedelta(0)
    touched_items: Sequence[Identity] = ()
    permanent_fix: PermanentFix = ROTATE

    @property
    def effect_timeout(self) -> timedelta:
        return self.timeout

    def fill(self, *names: str) -> None:
        for name in names:
            (self.folder / name).write_text(name)

    def names(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())

    async def plan(self) -> Plan:
        await self.before_plan()
        items = tuple(Item({"name": name}, {"size": len(name)}) for name in self.names())
        if self.empty_reason:
            return Plan((), 0, empty_reason=self.empty_reason)
        return Plan(items, len(items), population=max(len(items), 10))

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        await self.before()
        outcomes = [self._remove(str(item.identity["name"])) for item in items]
        await self.after()
        return outcomes

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        await self.before_reading()
        return [
            EffectOutcome(ItemState.NOT_APPLIED if str(item.identity["name"]) in self.names() else ItemState.APPLIED)
            for item in items
        ]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        await self.before_reading()
        return Verdict(not self.names(), {"left": self.names()})

    def _remove(self, name: str) -> EffectOutcome:
        file = self.folder / name
        if not file.exists():
            return EffectOutcome(ItemState.SKIPPED, "it had gone")
        file.unlink()
        self.touched.append(name)
        if self.refill:  # under another name, so that the removed file stays away
            self.fill(f"{name}.new")
        return EffectOutcome(ItemState.APPLIED, self.detail)

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator["FolderRemediation"]:
        self.open_count += 1
        self.touched_items = scope.touched_items
        if not self.reachable:
            raise TargetUnreachable(f"{scope.target}: no answer")
        yield self

    def remediation(self, kind: TargetKind = "postgres") -> Remediation:
        keys = frozenset({"batch"})
        return Remediation(
            "clear_folder",
            kind,
            keys,
            5,
            self.one_effect,
            self.open,
            NO_UNDO,
            self.lookback,
            permanent_fix=self.permanent_fix,
        )


@dataclass
class UndoableFolderRemediation(FolderRemediation):
    """A folder whose removed files a run can write again. `scopes` lists the scope of each session."""

    undo_when: Callable[[Scope], UndoWhen | None] = lambda _: None
    only_adds: bool = False
    scopes: list[Scope] = field(default_factory=list)

    async def plan(self) -> Plan:
        if (undone := self.scopes[-1].undoes) is None:
            return await super().plan()
        items = tuple(item for item in undone if item.identity["name"] not in self.names())
        return Plan(items, len(items))

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        if self.scopes[-1].undoes is None:
            return await super().apply(items)
        await self.before()
        self.fill(*(str(item.identity["name"]) for item in items))
        return [EffectOutcome(ItemState.APPLIED)] * len(items)

    async def verify(self, items: Sequence[Item]) -> Verdict:
        if self.scopes[-1].undoes is None:
            return await super().verify(items)
        return Verdict({str(item.identity["name"]) for item in items} <= set(self.names()))

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator["FolderRemediation"]:
        self.scopes.append(scope)
        async with super().open(scope) as session:
            yield session

    def remediation(self, kind: TargetKind = "postgres") -> Remediation:
        parameters = {
            "suffix": NameParameter("Which files."),
            "for": DurationParameter("How long.", timedelta(minutes=1), timedelta(hours=1)),
        }
        return replace(
            super().remediation(kind),
            undo=EXACT,
            undo_when=self.undo_when,
            only_adds=self.only_adds,
            parameters=parameters,
        )
