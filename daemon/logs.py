"""Logs on standard error: one event per decision with fields, as logfmt for people or JSON for machines."""

import logging
import sys

import structlog
from structlog.typing import Processor

from daemon.settings import LogSettings

_FIRST = ["timestamp", "level", "event"]


def configure_logs(settings: LogSettings) -> None:
    """Send our own events and those of the libraries the same way. Call it once, before anything is logged."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_render(settings.format))
    )
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a module's logger may exist before the settings are read
    )


def _render(name: str) -> list[Processor]:
    last: Processor = structlog.processors.JSONRenderer()
    if name == "logfmt":
        last = structlog.processors.LogfmtRenderer(key_order=_FIRST, bool_as_flag=False)
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        last,
    ]
