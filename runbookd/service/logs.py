"""Logs on standard error: one event with fields per decision, as logfmt or JSON."""

import logging
import re
import sys

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError
from structlog.typing import EventDict, Processor, WrappedLogger

MAX_VALUE = 4_000  # characters; the text of an error may be as long as its sender likes
_FIRST_KEYS = ["timestamp", "level", "event"]
# The place from which the library's words repeat the request, which may be a header with a token.
_REPEATED = re.compile(r"\n\s*\n| when reading|(?:bytearray\()?(?<!\w)b?['\"]")


def configure_logs(level: str = "info", form: str = "logfmt") -> None:
    """Configure the logs of our code and of libraries. Call it once, before the first event."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_render(form)))
    logging.getLogger("aiohttp.server").addFilter(_downgrade_client_errors)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a module may create its logger before the settings are read
    )


def _downgrade_client_errors(record: logging.LogRecord) -> bool:
    """Log a client's mistake or disconnect as one INFO line: it is not an error of the daemon."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError):
        record.msg, record.args, record.exc_info = f"invalid or aborted request: {_reason_of(error)}", (), None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return record.levelno >= logging.getLogger().level


def _reason_of(error: BaseException) -> str:
    """Return why a request is invalid, without a part of it."""
    if isinstance(error, InvalidURLError):  # its words are the address
        return "its address is malformed"
    text = error.message if isinstance(error, HttpProcessingError) else str(error)
    return " ".join(_REPEATED.split(text)[0].split()).strip(" :")[:200] or type(error).__name__


def _render(name: str) -> list[Processor]:
    last: Processor = structlog.processors.JSONRenderer()
    if name == "logfmt":
        last = structlog.processors.LogfmtRenderer(key_order=_FIRST_KEYS, bool_as_flag=False)
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _cut_values,
        structlog.processors.format_exc_info,
        last,
    ]


def _cut_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut long texts and say how long they were. A traceback keeps its length: its end has the cause."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > MAX_VALUE:
            event[name] = f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    return event
