"""The exporter's settings."""

from runbookd.service.settings import DaemonSettings, WebSettings


class ExporterSettings(DaemonSettings):
    """Measures the targets of the inventory and serves them to Prometheus on /metrics."""

    web: WebSettings = WebSettings(listen_address=":9850")
