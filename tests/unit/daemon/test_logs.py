"""Our events and those of libraries come out alike: one line each, whatever they hold."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from daemon import configure_logs
from daemon.settings import LogSettings


@pytest.fixture(autouse=True)
def _undo() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_logfmt_is_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings())
    structlog.get_logger("ours").info("bound passed", bound="max_items", detail='two\nlines "quoted"', open=False)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert ' level=info event="bound passed" bound=max_items ' in line
    assert " open=false" in line


def test_a_library_speaks_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(format="json"))
    logging.getLogger("theirs").warning("lost %s", "connection")
    event = json.loads(capsys.readouterr().err)
    assert (event["level"], event["event"]) == ("warning", "lost connection")


def test_an_exception_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings())
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("theirs").exception("failed")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("logger", [structlog.get_logger("ours"), logging.getLogger("theirs")])
def test_below_the_level_nothing_is_written(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(level="error"))
    logger.warning("quiet")
    sys.stderr.flush()
    assert capsys.readouterr().err == ""
