"""Flags win over environment and defaults; an error names the flag, never its value."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from runbookd.service.settings import DaemonSettings, WebSettings, read_settings


class HookSettings(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    token_file: tuple[Path, ...] = ()
    depth: int = 1


class HookDaemonSettings(DaemonSettings):
    """An example daemon."""

    web: WebSettings = WebSettings(listen_address="127.0.0.1:9851")
    hook: HookSettings = HookSettings()


def read(*argv: str) -> HookDaemonSettings:
    return read_settings(HookDaemonSettings, argv, "example")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNBOOK_CONFIG_FILE", "RUNBOOK_LOG_LEVEL", "RUNBOOK_WEB_LISTEN_ADDRESS", "RUNBOOK_HOOK_DEPTH"):
        monkeypatch.delenv(name, raising=False)


def test_settings_have_defaults() -> None:
    settings = read()
    assert str(settings.web.address) == "127.0.0.1:9851"
    assert settings.config.file is None
    assert settings.log.level == "info"


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_CONFIG_FILE", "from_environment.yml")
    monkeypatch.setenv("RUNBOOK_LOG_LEVEL", "debug")
    settings = read("--config.file", "from_flag.yml", "--config.check")
    assert settings.config.file == Path("from_flag.yml")
    assert settings.config.check
    assert settings.log.level == "debug"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_CONFIG_FILE", "")
    assert read().config.file is None


def test_a_flag_may_be_repeated() -> None:
    assert read("--hook.token-file", "a", "--hook.token-file=b").hook.token_file == (Path("a"), Path("b"))


def test_unknown_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_WEB_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("RUNBOOK__STACKS__SHOP__POSTGRES__MAIN__DSN", "postgresql://db/shop")
    assert read() == read()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--config.fiel=hunter2"], "example: unknown flag --config.fiel, did you mean --config.file?; see --help"),
        (["--config.fiel", "hunter2"], "example: unknown flag --config.fiel, did you mean --config.file?; see --help"),
        (["--config.fil", "x"], "example: unknown flag --config.fil, did you mean --config.file?; see --help"),
        (["hunter2"], "example: unexpected argument; pass the inventory with --config.file FILE; see --help"),
        (["--config.file"], "example: argument --config.file: expected one argument; see --help"),
        (["--hook.depth", "hunter2"], "example: --hook.depth: must be a whole number"),
    ],
)  # fmt: skip
def test_invalid_flag_is_reported_in_one_line(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        read(*argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"{expected}\n"


def test_invalid_variable_is_reported_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNBOOK_HOOK_DEPTH", "deep")
    with pytest.raises(SystemExit):
        read()
    assert capsys.readouterr().err.startswith("example: RUNBOOK_HOOK_DEPTH: ")


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_exit_with_0(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        read(flag)
    assert stopped.value.code == 0
    assert "example" in capsys.readouterr().out
