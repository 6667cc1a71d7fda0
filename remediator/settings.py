"""The remediator's flags."""

from pathlib import Path

from pydantic import Field

from runbookd.service import DaemonSettings, WebSettings
from runbookd.service.settings import FlagGroup


class WebhookSettings(FlagGroup):
    """Who may deliver alerts."""

    token_file: list[Path] = Field(
        default_factory=list,
        description="a file with the token that Alertmanager sends; repeat it to rotate",
    )


class LedgerSettings(FlagGroup):
    """Where the ledger is."""

    url: str = Field(default="sqlite:///runbookd.db", description="the ledger: sqlite:///path/to/file")


class PauseSettings(FlagGroup):
    """The kill switch that needs nothing but a file system."""

    file: Path = Field(
        default=Path("runbookd.pause"), description="while this file exists, nothing is remediated; it may say why"
    )


class RemediatorSettings(DaemonSettings):
    """Takes alerts from Alertmanager and runs bounded remediations."""

    web: WebSettings = WebSettings(listen_address="127.0.0.1:9851")
    webhook: WebhookSettings = WebhookSettings()
    ledger: LedgerSettings = LedgerSettings()
    pause: PauseSettings = PauseSettings()
