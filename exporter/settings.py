"""The exporter's settings."""

from runbookd.service import DaemonSettings, WebSettings


class ExporterSettings(DaemonSettings):
    """Measures what the inventory lists and serves it to Prometheus on /metrics."""

    web: WebSettings = WebSettings(listen_address=":9850")
