"""Ends episodes that nothing confirms any more and that Alertmanager does not have either."""

from collections.abc import Sequence

from remediator.alertmanager import ActiveAlert, AlertmanagerUnreadable
from remediator.intake import call_off
from remediator.ledger import episodes
from remediator.ledger.episodes import Episode
from remediator.targets import key_of
from remediator.world import World


async def end_vanished(world: World) -> None:
    """End every open episode that was not confirmed for two repeat intervals and that does not fire any more.

    Where Alertmanager's address is known but it can not be read, nothing ends.
    """
    limit = world.clock.now() - 2 * world.repeat_interval
    async with world.ledger.read() as connection:
        quiet = await episodes.all_open(connection, confirmed_before=limit)
    if not quiet:
        return
    try:
        firing = await world.alertmanager.active() if world.alertmanager else []
    except AlertmanagerUnreadable:
        return
    for episode in quiet:
        if not _fires(world, episode, firing):
            await _vanish(world, episode)


def _fires(world: World, episode: Episode, firing: Sequence[ActiveAlert]) -> bool:
    return any(key_of(alert.labels, world.remediations) == episode.key for alert in firing)


async def _vanish(world: World, episode: Episode) -> None:
    async with world.ledger.write() as connection:
        current = await episodes.open_for(connection, episode.key)
        if current is not None and current.confirmed_at == episode.confirmed_at:
            await episodes.end(connection, current, "vanished", world.clock.now())
            await call_off(connection, world, current, "vanished")
