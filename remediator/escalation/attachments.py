"""The diagnostics attached to an escalation, read when it is sent."""

import asyncio
from collections.abc import Sequence

import structlog

from remediator.context import Context
from remediator.diagnostics.bundle import format_lines, parts_of, read_all
from remediator.ledger import episodes, outbox
from remediator.ledger.episodes import Episode
from remediator.ledger.outbox import Message
from remediator.model.remediation import Scope
from remediator.model.target import settings_of
from runbookd.inventory import Mode

REMEDIATION = "collect_diagnostics"
MAX_CHARACTERS = 6_000
FRESH_SECONDS = 60.0
log = structlog.get_logger(__name__)


class Attachments:
    """Reads the diagnostics of a message once, for all its contacts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._diagnostics_tasks: dict[str, tuple[float, asyncio.Task[tuple[str, ...]]]] = {}

    async def lines(self, message: Message) -> tuple[str, ...]:
        """Return the lines to add to `message`; none if nothing could be read."""
        if message.key == outbox.end_key(message.episode) or not outbox.is_about_a_target(message.key):
            return ()
        try:
            return await asyncio.shield(self._diagnostics_task(message))
        except Exception as error:
            log.warning(
                "cannot read diagnostics: sending the message without them",
                episode=message.episode,
                error=f"{type(error).__name__}: {error}",
            )
            return ()

    def _diagnostics_task(self, message: Message) -> asyncio.Task[tuple[str, ...]]:
        now = asyncio.get_running_loop().time()
        self._diagnostics_tasks = {
            key: each for key, each in self._diagnostics_tasks.items() if now - each[0] < FRESH_SECONDS
        }
        if message.key not in self._diagnostics_tasks:
            self._diagnostics_tasks[message.key] = (
                now,
                asyncio.create_task(self._read_diagnostics(message.episode), name="diagnostics"),
            )
        return self._diagnostics_tasks[message.key][1]

    async def _read_diagnostics(self, identifier: int) -> tuple[str, ...]:
        async with self._context.ledger.read() as connection:
            episode = await episodes.get(connection, identifier)
        scopes = self._scopes(episode)
        if not scopes:
            return ()
        head = f"diagnostics at {self._context.clock.now():%H:%M:%S} UTC:"
        text = "\n".join([head, *format_lines(await read_all(scopes))])
        return tuple((text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…").splitlines())

    def _scopes(self, episode: Episode) -> Sequence[Scope]:
        stack = self._context.inventory.stacks.get(episode.stack)
        if stack is None or settings_of(stack, REMEDIATION).mode is Mode.OFF:
            return []
        settings = settings_of(stack, REMEDIATION)
        parts = parts_of(episode.stack, stack, episode.target)
        return [Scope(stack, part, settings, "diagnostics") for part in parts]
