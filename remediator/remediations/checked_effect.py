"""A run of one entry of `commands`: check, do it once, check again; without a check, only its own answer is known.

`run_command` and `http_call` give it what they do.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from remediator.masking import mask_text
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import EffectOutcome, Identity, Item, ItemState, Plan, Scope, Verdict
from remediator.model.target import sanitize
from runbookd.inventory import format_duration
from runbookd.inventory.commands import CommandTarget

CHECK_SECONDS = 7.0  # a plan may take 10 s, and a program that ignores SIGTERM is killed after 2 s
GRACE = timedelta(seconds=2 * CHECK_SECONDS + 10)  # the checks around an effect, and ending its processes
MAX_LINE = 1_000  # characters of a line of output: masking takes time that grows with its square
NO_CHECK = "none: only its own answer is known"

Values = Mapping[str, str]


@dataclass(frozen=True)
class Attempt:
    """The outcome of one attempt as far as the attempt itself shows it.

    `began`: it may have had an effect, whatever its state.
    """

    state: ItemState
    detail: str
    began: bool = True


class Effect(Protocol):
    """The act of an entry with certain values, or the act that undoes it."""

    @property
    def identity(self) -> Identity:
        """The fingerprint of the act, compared again right before it."""

    @property
    def evidence(self) -> Mapping[str, Any]:
        """The act in words for an operator, without secrets."""

    def problem(self) -> str | None:
        """Return why it could not even be begun."""

    async def check(self) -> bool | None:
        """Return whether everything is as the entry wants it; None without a check.

        Raises:
            TargetUnreachable: the check cannot tell.
        """

    async def attempt(self) -> Attempt:
        """Do it, once."""


@dataclass(frozen=True)
class CheckedSession:
    """A session on one entry. `effect_of` makes its effect, or the one that undoes it."""

    scope: Scope
    entry: CommandTarget
    effect_of: Callable[[Values, bool], Effect]

    @property
    def effect_timeout(self) -> timedelta:
        """See RemediationSession."""
        return self.entry.timeout + GRACE

    async def plan(self) -> Plan:
        """See RemediationSession. Nothing is to be done if the check finds everything as wanted."""
        values = self._values()
        effect = self._effect(values)
        self._require_possible(effect)
        done = await self._is_done(effect)
        if done:
            return Plan((), 0, evidence={"check": self._word(done)})
        ends = {} if self.entry.ends_after is None else {"ends_after": format_duration(self.entry.ends_after)}
        evidence = {**effect.evidence, "values": self._kept(values), "check": self._word(done), **ends}
        return Plan((Item(effect.identity, evidence),), 1, finds_faults=done is not None)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession."""
        return [await self._apply(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. Without a check, nothing can tell the outcome."""
        return [await self._look_up(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the check agrees; without one, the effect's own success counts."""
        states = [await self._is_done(self._effect_of(item)) for item in items]
        return Verdict(all(state is not False for state in states), {"check": [self._word(state) for state in states]})

    async def _apply(self, item: Item) -> EffectOutcome:
        try:
            effect = self._effect_of(item)
            self._require_possible(effect)
            if effect.identity != item.identity:
                return EffectOutcome(ItemState.SKIPPED, "the entry or its program has changed since it was planned")
            if await self._is_done(effect):
                return EffectOutcome(ItemState.SKIPPED, f"is already {self._word(True)}")
        except TargetUnreachable as error:
            return EffectOutcome(ItemState.FAILED, f"{error}; nothing was done")
        attempt = await effect.attempt()
        if attempt.state is ItemState.APPLIED or not attempt.began:
            return EffectOutcome(attempt.state, attempt.detail)
        return await self._judge(effect, attempt)

    def _require_possible(self, effect: Effect) -> None:
        if problem := effect.problem():
            raise TargetUnreachable(f"{self.scope.target}: {problem}")

    async def _judge(self, effect: Effect, attempt: Attempt) -> EffectOutcome:
        """Return what the check says of an attempt that did not succeed; without one, what it says itself."""
        try:
            done = await self._is_done(effect)
        except TargetUnreachable as error:
            return EffectOutcome(ItemState.UNKNOWN, f"{attempt.detail}\n{error}")
        if done is None:
            return EffectOutcome(attempt.state, attempt.detail)
        state = ItemState.APPLIED if done else ItemState.FAILED
        return EffectOutcome(state, f"{attempt.detail}\nthe check afterwards: {self._word(done)}")

    async def _look_up(self, item: Item) -> EffectOutcome:
        done = await self._is_done(self._effect_of(item))
        if done is None:
            return EffectOutcome(ItemState.UNKNOWN, "it has no check that could tell; check by hand what it has done")
        state = ItemState.APPLIED if done else ItemState.NOT_APPLIED
        return EffectOutcome(state, f"the check afterwards: {self._word(done)}")

    async def _is_done(self, effect: Effect) -> bool | None:
        """Return whether there is nothing left to do: as wanted, or for an undo, no longer so."""
        as_wanted = await effect.check()
        return as_wanted if as_wanted is None or not self._undoes else not as_wanted

    def _word(self, done: bool | None) -> str:
        if done is None:
            return NO_CHECK
        as_wanted = done is not self._undoes  # an undo is done when the check no longer finds it as wanted
        return "as wanted" if as_wanted else "not as wanted"

    @property
    def _undoes(self) -> bool:
        return self.scope.undoes is not None

    def _effect(self, values: Values) -> Effect:
        try:
            return self.effect_of(values, self._undoes)
        except ValueError as error:
            raise TargetUnknown(f"{self.scope.target}: {error}") from None

    def _effect_of(self, item: Item) -> Effect:
        """Return the effect that `item` was planned as; its values are checked again, as those of a request."""
        planned = item.evidence.get("values")
        return self._effect(self._read_values(planned if isinstance(planned, Mapping) else {}))

    def _values(self) -> Values:
        """Return the values of a new plan: an operator's, or those of the run to undo; alerts use the defaults."""
        if self.scope.undoes:
            planned = self.scope.undoes[0].evidence.get("values")
            return self._read_values(planned if isinstance(planned, Mapping) else {})
        return self._read_values(self.scope.parameters)

    def _kept(self, values: Values) -> dict[str, str]:
        """Return the values as an operator would write them, to be read again when the item is done or undone."""
        return {name: parameter.written(values[name]) for name, parameter in self.entry.parameters.items()}

    def _read_values(self, given: Mapping[str, object]) -> Values:
        values = {"stack": self.scope.target.stack, "target": self.scope.target.name}
        for name, parameter in self.entry.parameters.items():
            value = given.get(name, parameter.default)
            if value is None:
                remedy = f"start it with runbookctl start … --set {name}=…, or give it a default"
                raise TargetUnknown(f"{self.scope.target} needs the parameter {name}, which no alert sets; {remedy}")
            try:
                values[name] = parameter.text_of(value)
            except ValueError as error:
                raise TargetUnknown(f"{self.scope.target}: {name} {error}") from None
        return values


def digest(*parts: Any) -> str:
    """Return a short fingerprint of what would be done."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def masked_output(text: str, secrets: Sequence[str]) -> str:
    """Return what a program or server wrote, line by line, without secrets, personal data and control characters."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    lines = (line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in text.splitlines())
    return "\n".join(filter(None, (sanitize(mask_text(line), MAX_LINE) for line in lines)))
