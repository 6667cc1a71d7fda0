"""How long an episode may go without a delivery that shows it firing."""

from datetime import datetime, timedelta

from remediator.world import World

REPEAT_INTERVAL = timedelta(minutes=5)  # of the route in deploy/alertmanager.yml, where the inventory names none


def unconfirmed_since(world: World) -> datetime:
    """An episode last confirmed before this moment has missed two deliveries in a row."""
    known = world.inventory.alertmanager
    return world.clock.now() - 2 * (known.repeat_interval if known is not None else REPEAT_INTERVAL)
