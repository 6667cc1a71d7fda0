"""The flags of a daemon, also as environment variables: `--log.level`, RUNBOOK_LOG_LEVEL."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliApp, CliSettingsSource, SettingsConfigDict

from runbookd.inventory.words import problem_text
from runbookd.service.address import ListenAddress
from runbookd.service.version import VERSION

PREFIX = "RUNBOOK_"
S = TypeVar("S", bound="DaemonSettings")


class FlagGroup(BaseModel):
    """Flags with one prefix.

    Unknown variables are ignored, because Kubernetes sets its own in every container (RUNBOOK_WEB_PORT for a service
    named runbook-web). The parser rejects unknown flags.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)


def _check_address(text: str) -> str:
    ListenAddress.parse(text)
    return text


class ConfigSettings(FlagGroup):
    """The inventory."""

    file: Path | None = Field(default=None, description="inventory file (YAML)")
    check: bool = Field(default=False, description="check the inventory and the secrets it names, then exit")


class WebFileSettings(FlagGroup):
    """TLS, users and headers."""

    file: Path | None = Field(
        default=None, description="file with TLS, users and headers, in the format of Prometheus' exporter-toolkit"
    )


class WebSettings(FlagGroup):
    """The listener. Each daemon sets its own default address."""

    listen_address: Annotated[str, AfterValidator(_check_address)] = Field(
        description="listen address, such as :9850, 127.0.0.1:9850 or [::1]:9850"
    )
    config: WebFileSettings = WebFileSettings()

    @model_validator(mode="before")
    @classmethod
    def _variable(cls, data: object) -> object:
        """Accept RUNBOOK_WEB_CONFIG_FILE as `config_file`: variable names are split only once."""
        if not isinstance(data, dict) or "config_file" not in data:
            return data
        flag = WebFileSettings.model_validate(data.get("config", {}))
        return {**data, "config": flag if flag.file is not None else {"file": data["config_file"]}}

    @property
    def address(self) -> ListenAddress:
        """The parsed listen address."""
        return ListenAddress.parse(self.listen_address)


class LogSettings(FlagGroup):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="minimum log level")
    format: Literal["logfmt", "json"] = Field(default="logfmt", description="log format")


class DaemonSettings(BaseSettings):
    """Base of a daemon's settings: a subclass sets the default of `web` and adds groups."""

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
    """Reports an error in one line; argparse would print the whole usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def read_settings(kind: type[S], argv: Sequence[str], prog: str) -> S:
    """Read the settings from flags, then environment, then defaults.

    Raises:
        SystemExit: 0 after --help and --version; 2 after one line on standard error per wrong flag or value.
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
    """Name the first unknown flag, but never its value, which may be a secret."""
    flag = next((argument.split("=")[0] for argument in arguments if argument.startswith("-")), None)
    if flag is None:
        return "unexpected argument; pass the inventory with --config.file FILE"
    close = difflib.get_close_matches(flag, valid_flags, n=1)
    return f"unknown flag {flag}" + (f", did you mean {close[0]}?" if close else "")


def _problems(error: ValidationError, argv: Sequence[str]) -> list[str]:
    """Name the given flag, or else the variable; never the value, which may be a secret."""
    flags = {argument.split("=")[0] for argument in argv}
    lines = []
    for detail in error.errors(include_input=False, include_url=False):
        path = [str(part) for part in detail["loc"][:2]]
        flag = "--" + ".".join(path).replace("_", "-")
        place = flag if flag in flags else PREFIX + "_".join(path).upper()
        lines.append(f"{place}: {problem_text(detail)}")
    return lines
