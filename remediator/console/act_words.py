"""The words of an act: of its button, as in `Terminate 3 sessions on shop/main`, and of what was done."""

from collections.abc import Mapping

from remediator.model.act_words import ActWords
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import ItemState
from remediator.remediations import REMEDIATIONS


def act_words(key: EpisodeKey, count: int, undoes: int | None = None) -> str:
    """Return what a yes does: to `count` items of the target of `key`, or that it undoes the run `undoes`."""
    place = short_target(key.target)
    if undoes is not None:
        return f"Undo run {undoes}: put back {count} {'item' if count == 1 else 'items'} on {place}"
    words = _words_of(key)
    if words is None:
        name = key.remediation.replace("_", " ").capitalize()
        return f"{name}: {count} {'item' if count == 1 else 'items'} on {place}"
    if not words.noun:
        return words.verb.format(place)
    return f"{words.verb} {count} {words.noun if count == 1 else words.plural} on {place}"


def done_words(key: EpisodeKey, counts: Mapping[ItemState, int], undoes: int | None = None) -> str:
    """Return what became of the items of an ended run, as in `2 of 3 jobs retried, 1 skipped`; empty without any."""
    total, applied = sum(counts.values()), counts.get(ItemState.APPLIED, 0)
    if not total:
        return ""
    words = _words_of(key)
    if undoes is None and words is not None and not words.noun and applied == total:
        return words.done.format(short_target(key.target))
    done = "put back" if undoes is not None else words.done if words is not None and words.noun else "applied"
    others = [f"{number} {_item_words(state)}" for state, number in counts.items() if state is not ItemState.APPLIED]
    return ", ".join([f"{applied} of {total} {items_noun(key, total, undoes)} {done}", *others])


def _item_words(state: ItemState) -> str:
    return "not begun" if state is ItemState.PLANNED else state.replace("_", " ")


def items_noun(key: EpisodeKey, count: int, undoes: int | None = None) -> str:
    """Return what the items of a run are called, in the number of `count`."""
    words = _words_of(key)
    if undoes is not None or words is None or not words.noun:
        return "item" if count == 1 else "items"
    return words.noun if count == 1 else words.plural


def _words_of(key: EpisodeKey) -> ActWords | None:
    """Return the words that the remediation declares; one that is gone is named as it is."""
    remediation = REMEDIATIONS.get(key.remediation)
    return remediation.words if remediation is not None else None


def short_target(target: str) -> str:
    """Return a canonical target without its kind: `shop/main` for `shop/postgres/main`."""
    stack, _, rest = target.partition("/")
    kind, _, name = rest.partition("/")
    return stack if kind == "stack" else f"{stack}/{name}" if name else target
