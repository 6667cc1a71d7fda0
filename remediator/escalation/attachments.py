"""The diagnostics attached to an escalation, read when it is sent."""

import asyncio
from collections.abc import Sequence

import structlog

from remediator.context import Context
from remediator.diagnostics.bundle import format_lines, parts_of, read_all, read_part
from remediator.diagnostics.recent import read_recently
from remediator.ledger import deploys, episodes, outbox
from remediator.ledger.deploys import Deploy
from remediator.ledger.episodes import Episode
from remediator.ledger.outbox import Message
from remediator.model.remediation import Scope
from remediator.model.run_state import RunState
from remediator.model.target import sanitize, settings_of
from runbookd.inventory import Mode

REMEDIATION = "collect_diagnostics"
MAX_CHARACTERS = 6_000
FRESH_SECONDS = 60.0
FIRST_MESSAGE_SECONDS = 3.0  # for the reading that goes with it: a dead server must not delay the first message
log = structlog.get_logger(__name__)


class Attachments:
    """Reads the diagnostics of a message once, for all its contacts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._diagnostics_tasks: dict[str, tuple[float, asyncio.Task[tuple[str, ...]]]] = {}

    async def lines(self, message: Message) -> tuple[str, ...]:
        """Return the lines to add to `message`; none if nothing could be read."""
        if message.episode is None or not outbox.is_about_a_target(message.key) or message.is_about_the_end:
            return ()
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS if _announces_an_alert(message) else None):
                return await asyncio.shield(self._diagnostics_task(message, message.episode))
        except TimeoutError:
            return (f"diagnostics: not read within {FIRST_MESSAGE_SECONDS:.0f} s; see runbookctl runs",)
        except Exception as error:
            log.warning(
                "cannot read diagnostics: sending the message without them",
                episode=message.episode,
                error=f"{type(error).__name__}: {error}",
            )
            return ()

    def _diagnostics_task(self, message: Message, episode_id: int) -> asyncio.Task[tuple[str, ...]]:
        now = asyncio.get_running_loop().time()
        self._diagnostics_tasks = {
            key: each for key, each in self._diagnostics_tasks.items() if now - each[0] < FRESH_SECONDS
        }
        if message.key not in self._diagnostics_tasks:
            self._diagnostics_tasks[message.key] = (
                now,
                asyncio.create_task(self._read_diagnostics(message, episode_id), name="diagnostics"),
            )
        return self._diagnostics_tasks[message.key][1]

    async def _read_diagnostics(self, message: Message, episode_id: int) -> tuple[str, ...]:
        async with self._context.ledger.read() as connection:
            episode = await episodes.get(connection, episode_id)
            deploy = (await deploys.newest_by_stack(connection)).get(episode.stack)
        scopes = self._scopes(episode)
        if not scopes:
            return ()
        head = f"diagnostics at {self._context.clock.now():%H:%M:%S} UTC:"
        readings = await read_all(scopes, read_recently if _announces_an_alert(message) else read_part)
        text = "\n".join([head, *_deploy_lines(deploy), *format_lines(readings)])
        return tuple((text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…").splitlines())

    def _scopes(self, episode: Episode) -> Sequence[Scope]:
        stack = self._context.inventory.stacks.get(episode.stack)
        if stack is None or settings_of(stack, REMEDIATION).mode is Mode.OFF:
            return []
        settings = settings_of(stack, REMEDIATION)
        parts = parts_of(episode.stack, stack, episode.target)
        return [Scope(stack, part, settings, "diagnostics") for part in parts]


def _deploy_lines(deploy: Deploy | None) -> Sequence[str]:
    """Return one line about the last deploy that was reported: the first thing to suspect."""
    if deploy is None:
        return ()
    version = f" of {sanitize(deploy.version)}" if deploy.version else ""
    end = f"done {deploy.done_at:%H:%M:%S} UTC" if deploy.done_at is not None else "its end is not reported"
    return (f"last deploy{version}: {deploy.begun_at:%Y-%m-%d %H:%M:%S} UTC by {deploy.begun_by}, {end}",)


def _announces_an_alert(message: Message) -> bool:
    """Return whether it is the first message about an alert that no remediation repairs."""
    return message.key == f"{message.episode}/{RunState.ADMITTED}/"
