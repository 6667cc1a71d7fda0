"""The format of a file of cases. docs/reference/policy-tests.md is written from these models."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from remediator.model.run_state import RunState
from runbookctl.policy.planned_items import PlannedItems
from runbookd.inventory import Duration, format_duration

DEFAULT_START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday at noon, outside of most windows
LONGEST_CASE = timedelta(days=31)
ZERO = timedelta()
ExpectedEnd = Literal["open", "resolved", "vanished", "finished"]


def _within_a_case(moment: timedelta) -> timedelta:
    if moment > LONGEST_CASE:
        raise ValueError(f"is too late; a case lasts at most {format_duration(LONGEST_CASE)}")
    return moment


Moment = Annotated[Duration, AfterValidator(_within_a_case)]
"""A time since the start of the case."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
StackName = Annotated[Text | None, Field(description="Default: the only stack of the inventory.")]
OneOrAll = Annotated[Text | None, Field(description="Default: all stacks.")]
By = Annotated[Text | None, Field(description="The operator. Default: the first one of the inventory.")]
KEYS_OF_LABELS = {
    "alertname": "alert",
    **{name: name for name in ("stack", "remediation", "target", "queue")},
}
COMPARED_IF_EMPTY = frozenset({"reason", "found", "approved_by", "acknowledged_by"})
Changes = dict[Text, Any]
"""Keys of the inventory, with dots between their parts, and their values."""


class Block(BaseModel):
    """A block of the file, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Expected(Block):
    """A block of an expectation. A key without a value would be compared with nothing, and pass whatever happens."""

    @field_validator("*", mode="before")
    @classmethod
    def _has_a_value(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name not in COMPARED_IF_EMPTY:
            raise ValueError("has no value, so nothing would be compared; write [] for an empty list, or remove it")
        return value


class Target(Block):
    """The subject of an entry; `stack` may be left out if the inventory has only one."""

    stack: StackName = None
    remediation: Text | None = Field(default=None, description="The remediation.")
    target: Text | None = Field(default=None, description="The key of the target in the inventory.")
    queue: Text | None = Field(default=None, description="The queue, for a target under `queues`.")


class AlertSpan(Target):
    """An alert that fires for a while, as Alertmanager delivers it: at once, then at its repeat interval."""

    alert: Text = Field(description="The name of the alert.")
    since: Moment = Field(default=ZERO, alias="from", description="When it begins to fire.")
    until: Moment | None = Field(default=None, alias="to", description="When it resolves. Default: it does not.")
    resolves: bool = Field(
        default=True, description="`false`: nobody reports its end, as when Alertmanager loses its state."
    )
    labels: dict[Text, str] = Field(default_factory=dict, description="Further labels, as `priority: P1`.")

    @field_validator("labels")
    @classmethod
    def _are_further_ones(cls, labels: dict[str, str]) -> dict[str, str]:
        for label, key in KEYS_OF_LABELS.items():
            if label in labels:
                raise ValueError(f"has {label}, whose name would not be checked; write it as the alert's key `{key}`")
        return labels

    @model_validator(mode="after")
    def _ends_after_its_begin(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("`to` must be after `from`")
        return self


class Plan(Target):
    """The items that a remediation finds on a target, and the effect of a run on them; a later entry replaces it.

    Without `target` it applies to each target of the remediation that has no entry of its own.
    """

    remediation: Text = Field(description="The remediation.")
    at: Moment = Field(default=ZERO, description="Since when the target is like this.")
    items: PlannedItems = Field(description="How many items it finds, or a list of them.")
    of: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="The number that `max_share` is a fraction of."
    )
    unreachable: bool = Field(default=False, description="`true`: the target does not answer.")
    effect: Literal["works", "does_nothing", "fails", "unknown"] = Field(
        default="works",
        description="An effect works, changes nothing, is refused, or ends without an answer.",
    )
    takes: Moment = Field(default=ZERO, description="How long each effect takes.")
    after_a_crash: Literal["applied", "not_applied", "unknown"] = Field(
        default="not_applied", description="The result of a look-up after a crash within an effect."
    )


class Freeze(Block):
    """A period without remediation, as `freezes` of a stack."""

    stack: StackName = None
    since: Moment = Field(default=ZERO, alias="from", description="When it begins.")
    until: Moment = Field(alias="to", description="When it ends.")
    reason: str = Field(default="", description="A part of the bound's sentence.")

    @model_validator(mode="after")
    def _ends_after_its_begin(self) -> Self:
        if self.until <= self.since:
            raise ValueError("`to` must be after `from`")
        return self


class Condition(Block):
    """A reason of a bound that a remediation declares: a target is down, or a backup or deploy is under way."""

    stack: StackName = None
    bound: Literal["requires", "deploy", "backup_running"] = Field(description="The bound that refuses.")
    since: Moment = Field(default=ZERO, alias="from", description="When it begins.")
    until: Moment | None = Field(default=None, alias="to", description="Default: the end of the case.")
    reason: Text = Field(default="the case says so", description="A part of the bound's sentence.")

    @model_validator(mode="after")
    def _ends_after_its_begin(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("`to` must be after `from`")
        return self


class Pause(Block):
    """An operator pauses a stack, or without `stack` all of them."""

    stack: OneOrAll = None
    span: Duration | None = Field(default=None, alias="for", description="Default: until `resume`.")
    reason: Text = Field(default="the case says so", description="Shown wherever a run is refused.")
    by: By = None


class Resume(Block):
    """An operator ends the pauses of a stack, or without `stack` those of all."""

    stack: OneOrAll = None
    by: By = None


class _Answer(Block):
    """An operator answers a run that awaits an approval."""

    run: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The number of the run. Default: the only one that awaits an approval."
    )
    by: By = None


class Approve(_Answer):
    """An operator approves exactly the items of a run."""


class Reject(_Answer):
    """An operator rejects a run."""

    reason: str = Field(default="", description="Kept in the record of the run.")


class Acknowledge(Block):
    """An operator acknowledges an episode."""

    episode: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The number of the episode. Default: the only one that is open."
    )
    span: Duration | None = Field(default=None, alias="for", description="Default: until it changes or ends.")
    by: By = None


class CloseBreaker(Target):
    """An operator closes a breaker. Default: the only one that is open."""

    by: By = None


class Deploy(Block):
    """A release tool reports that a deploy begins or is done."""

    stack: StackName = None
    version: str = Field(default="", description="A part of the bound's sentence.")
    state: Literal["started", "done"] = Field(
        default="started", description="A deploy that is not done counts for 10m."
    )


class Start(Target):
    """An operator asks for a run and confirms it."""

    remediation: Text = Field(description="The remediation.")
    parameters: dict[Text, str] = Field(default_factory=dict, description="Its parameters.")
    by: By = None


class _Outage(Block):
    """Something is away for a while."""

    span: Moment = Field(default=timedelta(seconds=1), alias="for", description="For how long. Default: 1s.")


class Crash(_Outage):
    """The process is killed without a warning, and starts again."""


class LedgerOut(_Outage):
    """The ledger can be neither read nor written."""


class AlertmanagerOut(_Outage):
    """Alertmanager's API does not answer; it goes on delivering."""


Outage = Crash | LedgerOut | AlertmanagerOut


class Event(Block):
    """Something that happens at a moment: exactly one of the keys beside `at`."""

    at: Moment = Field(description="When.")
    pause: Pause | None = None
    resume: Resume | None = None
    approve: Approve | None = None
    reject: Reject | None = None
    acknowledge: Acknowledge | None = None
    close_breaker: CloseBreaker | None = None
    deploy: Deploy | None = None
    start: Start | None = None
    reload: Changes | None = Field(default=None, description="The inventory is reloaded with these keys changed.")
    crash: Crash | None = None
    ledger_out: LedgerOut | None = None
    alertmanager_out: AlertmanagerOut | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_words(cls, data: object) -> object:
        """Accept a key without a value: `resume:` is `resume: {}`."""
        if not isinstance(data, dict):
            return data
        return {key: {} if value is None and key != "at" else value for key, value in data.items()}

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set - {"at"}) != 1:
            known = ", ".join(name for name in type(self).model_fields if name != "at")
            raise ValueError(f"needs exactly one key beside `at`, of {known}")
        return self

    @property
    def kind(self) -> str:
        """The key that says what happens."""
        return next(iter(self.model_fields_set - {"at"}))

    @property
    def detail(self) -> Any:
        """The value of that key."""
        return getattr(self, self.kind)

    @property
    def outage(self) -> Outage | None:
        """The outage, if one begins."""
        return self.crash or self.ledger_out or self.alertmanager_out


class ExpectedRun(Target, Expected):
    """A run. Only the keys that are given are compared."""

    state: RunState = Field(description="Its state.")
    reason: str | None = Field(default=None, description="The reason, as `max_items`; empty for none.")
    trigger: Literal["alert", "operator", "end"] | None = Field(default=None, description="Its cause.")
    found: int | None = Field(default=None, description="The number of items that it found.")
    items: dict[Text, PlannedItems] | None = Field(
        default=None, description="By state how many items, or which: `{applied: 3, skipped: 1}`."
    )
    refused_by: tuple[Text, ...] | None = Field(default=None, description="All bounds that refuse it.")
    deferred_by: tuple[Text, ...] | None = Field(default=None, description="All bounds that defer it.")
    says: dict[Text, Text] | None = Field(
        default=None, min_length=1, description="By bound a part of its sentence: `{max_items: found 11}`."
    )
    numbers: dict[Text, Any] | None = Field(
        default=None,
        min_length=1,
        description="Numbers of the bounds, as `runbookctl run NUMBER --output json` has them.",
    )
    approved_by: str | None = Field(default=None, description="Who has approved it; empty for nobody.")


class ExpectedEpisode(Target, Expected):
    """An episode. Only the keys that are given are compared."""

    alerts: tuple[Text, ...] | None = Field(default=None, description="The names of its alerts.")
    state: ExpectedEnd | None = Field(default=None, description="`open`, or how it ended.")
    ladder: tuple[Text, ...] | None = Field(default=None, description="The steps of the ladder that were notified.")
    acknowledged_by: str | None = Field(default=None, description="Who has it now; empty for nobody.")


class ExpectedMessage(Expected):
    """A message. Only the keys that are given are compared."""

    to: tuple[Text, ...] | None = Field(default=None, description="All contacts that it goes to.")
    title: Text | None = Field(default=None, description="A part of its title.")
    says: tuple[Text, ...] | None = Field(default=None, min_length=1, description="Parts of its text.")
    severity: Literal["ok", "info", "warning", "error", "critical"] | None = Field(
        default=None, description="How urgent it is."
    )


class ExpectedBreaker(Target, Expected):
    """An open breaker. Only the keys that are given are compared."""


class Expectation(Expected):
    """The state that must be there at a moment. Each list is complete: nothing but its entries may be there."""

    at: Moment = Field(description="When, at the end of this second.")
    runs: tuple[ExpectedRun, ...] | None = Field(default=None, description="All runs since the start, oldest first.")
    touched: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many items all runs together have touched, or may have."
    )
    episodes: tuple[ExpectedEpisode, ...] | None = Field(
        default=None, description="All episodes since the start, oldest first."
    )
    messages: tuple[ExpectedMessage, ...] | None = Field(
        default=None, description="All messages since the start, oldest first."
    )
    heard: dict[Text, Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, description="By contact how many messages went to it since the start."
    )
    breakers: tuple[ExpectedBreaker, ...] | None = Field(default=None, description="All open breakers.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.model_fields_set <= {"at"}:
            raise ValueError("expects nothing; add runs, touched, episodes, messages, heard or breakers")
        return self


class Case(Block):
    """One story: alerts, what they find and what else happens, and what must come of it."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")] = Field(
        description="The claim, in one sentence; no two cases of a file have the same."
    )
    start: AwareDatetime = Field(
        default=DEFAULT_START, description="The moment 0s, which decides about windows. Default: a Monday, 12:00 UTC."
    )
    changes: Changes = Field(default_factory=dict, alias="set", description="Keys of the inventory that differ.")
    alerts: tuple[AlertSpan, ...] = ()
    plans: tuple[Plan, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    conditions: tuple[Condition, ...] = ()
    events: tuple[Event, ...] = ()
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1)]


class PolicyFile(Block):
    """A file of cases."""

    inventory: Path = Field(description="The inventory, from the folder of this file.")
    changes: Changes = Field(
        default_factory=dict, alias="set", description="Keys of the inventory that differ in all cases."
    )
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]
