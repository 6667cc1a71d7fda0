"""Renders a message in a format, and shortens it to a limit: the most important lines stay."""

from bisect import bisect_right
from collections.abc import Sequence

from remediator.escalation.content import Content
from remediator.escalation.markup import Markup

_MIN_ROOM = 20  # a shorter rest of a line says nothing


def render(content: Content, markup: Markup, limit: int) -> str:
    """Return the body of the message in at most `limit` units of `markup`; its title is not part of it."""
    note = "… shortened" + (f"; see: {content.more}" if content.more else "")
    page = _Page(markup, limit - markup.measure(markup.escape(note)) - 1)
    key = (f"key: {content.key}",) if content.key else ()
    page.add_lines((*content.facts, *content.advice, *content.other_links))
    for name, url in content.web_links:
        page.add_link(name, url)
    page.add_lines((*content.plan, *content.evidence, *key))
    page.add_lines(content.diagnostics)
    return "".join([*page.parts, markup.escape(note) if page.is_cut else ""]).rstrip("\n")


def shorten(text: str, markup: Markup, limit: int) -> str:
    """Return one line, escaped, in at most `limit` units."""
    whole = markup.escape(text)
    if markup.measure(whole) <= limit:
        return whole
    fits = bisect_right(range(len(text)), limit, key=lambda end: markup.measure(markup.escape(f"{text[:end]}…"))) - 1
    return markup.escape(f"{text[:fits]}…") if fits > 0 else ""


class _Page:
    """The parts so far, and the room that is left."""

    def __init__(self, markup: Markup, room: int) -> None:
        self._markup = markup
        self._room = room
        self.parts: list[str] = []
        self.is_cut = False

    def add_lines(self, lines: Sequence[str]) -> None:
        """Add as many of `lines` as fit, in one block."""
        before, after = self._markup.block
        overhead = self._markup.measure(before + after)
        if not lines or self._has_no_room(overhead):
            return
        self._room -= overhead
        if fitting := self._fitting(lines):
            self.parts += [before, "\n".join(fitting), after]

    def add_link(self, name: str, url: str) -> None:
        """Add a link, or nothing: a shortened one leads nowhere."""
        link = self._markup.link(name, url) + "\n"
        if not self._has_no_room(self._markup.measure(link)):
            self._room -= self._markup.measure(link)
            self.parts.append(link)

    def _has_no_room(self, needed: int) -> bool:
        self.is_cut = self.is_cut or self._room < needed + _MIN_ROOM
        return self.is_cut

    def _fitting(self, lines: Sequence[str]) -> list[str]:
        fitting = []
        for line in lines:
            shown = shorten(line, self._markup, self._room - 1)
            if shown:
                fitting.append(shown)
                self._room -= self._markup.measure(shown) + 1
            if shown != self._markup.escape(line):
                self.is_cut = True
                break
        return fitting
