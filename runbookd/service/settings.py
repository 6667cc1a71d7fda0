"""The flags of a daemon, each also an environment variable: `--log.level` is RUNBOOK_LOG_LEVEL."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliApp, CliSettingsSource, SettingsConfigDict

from runbookd.service.address import ListenAddress
from runbookd.service.version import VERSION

PREFIX = "RUNBOOK_"
S = TypeVar("S", bound="DaemonSettings")


class FlagGroup(BaseModel):
    """Flags with one prefix.

    Unknown variables are left alone, because Kubernetes puts its own into every container (RUNBOOK_WEB_PORT where a
    service is named runbook-web); unknown flags are refused by the parser.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)


def _check_address(text: str) -> str:
    ListenAddress.parse(text)
    return text


class ConfigSettings(FlagGroup):
    """Where the inventory is."""

    file: Path | None = Field(default=None, description="the inventory, a YAML file")
    check: bool = Field(default=False, description="check the inventory and the secrets it names, then exit")


class WebFileSettings(FlagGroup):
    """TLS, users and headers."""

    file: Path | None = Field(default=None, description="TLS, users and headers, as Prometheus' own exporters have it")


class WebSettings(FlagGroup):
    """Where the daemon listens. Each daemon sets its own default."""

    listen_address: Annotated[str, AfterValidator(_check_address)] = Field(
        description="where to listen: :9850, 127.0.0.1:9850, [::1]:9850"
    )
    config: WebFileSettings = WebFileSettings()

    @model_validator(mode="before")
    @classmethod
    def _variable(cls, data: object) -> object:
        """RUNBOOK_WEB_CONFIG_FILE arrives as `config_file`: variables are split into group and flag only."""
        if not isinstance(data, dict) or "config_file" not in data:
            return data
        flag = WebFileSettings.model_validate(data.get("config", {}))
        return {**data, "config": flag if flag.file is not None else {"file": data["config_file"]}}

    @property
    def address(self) -> ListenAddress:
        return ListenAddress.parse(self.listen_address)


class LogSettings(FlagGroup):
    """What is logged to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is logged")
    format: Literal["logfmt", "json"] = Field(default="logfmt", description="how an event is written")


class DaemonSettings(BaseSettings):
    """Base of a daemon's settings: a subclass sets the default of `web` and adds groups of its own."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix=PREFIX,
        env_ignore_empty=True,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        nested_model_default_partial_update=True,
        cli_implicit_flags="toggle",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
    )

    config: ConfigSettings = ConfigSettings()
    web: WebSettings
    log: LogSettings = LogSettings()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse would print its whole usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def read_settings(kind: type[S], argv: Sequence[str], prog: str) -> S:
    """Return the settings from flags, then environment, then defaults.

    Raises:
        SystemExit: 0 after --help and --version; 2 after one line on standard error for every wrong flag or value.
    """
    parser = _Parser(prog=prog, description=kind.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{prog} {VERSION}")
    source: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(kind, root_parser=parser)
    namespace, unknown = parser.parse_known_args(list(argv))
    if unknown:
        parser.error(_unknown_flag_text(unknown, list(parser._option_string_actions)))
    try:
        return CliApp.run(kind, cli_args=namespace, cli_settings_source=source)
    except ValidationError as error:
        parser.exit(2, "".join(f"{prog}: {line}\n" for line in _problems(error, argv)))


def _unknown_flag_text(arguments: list[str], valid_flags: list[str]) -> str:
    """Name the first unknown argument, but never the value of a flag: it may be a secret."""
    flag = next((argument.split("=")[0] for argument in arguments if argument.startswith("-")), None)
    if flag is None:
        return "takes flags only, but got a bare word; the inventory is given as --config.file FILE"
    close = difflib.get_close_matches(flag, valid_flags, n=1)
    return f"unknown flag {flag}" + (f", did you mean {close[0]}?" if close else "")


def _problems(error: ValidationError, argv: Sequence[str]) -> list[str]:
    """The place is the flag if it was given, otherwise the variable; the value is left out, it may be a secret."""
    flags = {argument.split("=")[0] for argument in argv}
    lines = []
    for detail in error.errors(include_input=False, include_url=False):
        path = [str(part) for part in detail["loc"][:2]]
        flag = "--" + ".".join(path).replace("_", "-")
        place = flag if flag in flags else PREFIX + "_".join(path).upper()
        lines.append(f"{place}: {detail['msg'].removeprefix('Value error, ')}")
    return lines
