"""The remediator's flags."""

from pathlib import Path

from pydantic import Field

from runbookd.service.settings import DaemonSettings, FlagGroup, WebSettings


class WebhookSettings(FlagGroup):
    """The flags of the webhook."""

    token_file: list[Path] = Field(
        default_factory=list,
        description="file with the token that Alertmanager sends; repeat the flag to rotate tokens",
    )


DEFAULT_LEDGER = "sqlite:///runbookd.db"


class LedgerSettings(FlagGroup):
    """The flags of the ledger."""

    url: str = Field(
        default=DEFAULT_LEDGER,
        description="URL of the ledger: sqlite:///path/to/file, or postgresql://role@host/database without a password",
    )
    url_file: Path | None = Field(
        default=None, description="file with the URL of the ledger, which may have a password"
    )


class PauseSettings(FlagGroup):
    """The flags of the kill switch that needs nothing but a file system."""

    file: Path = Field(
        default=Path("runbookd.pause"),
        description="while this file exists, nothing is remediated; its text is the reason",
    )


class RemediatorSettings(DaemonSettings):
    """Takes alerts from Alertmanager and runs bounded remediations."""

    web: WebSettings = WebSettings(listen_address="127.0.0.1:9851")
    webhook: WebhookSettings = WebhookSettings()
    ledger: LedgerSettings = LedgerSettings()
    pause: PauseSettings = PauseSettings()
