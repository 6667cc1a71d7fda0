"""Reads the exporter's page."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class ExporterPage:
    """One reading of /metrics."""

    text: str

    def values(self, metric: str, **labels: str) -> Iterator[float]:
        """Yield the values of the samples of `metric` with these labels."""
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                if sample.name == metric and labels.items() <= sample.labels.items():
                    yield sample.value

    def largest(self, metric: str, **labels: str) -> float:
        """Return the largest value, or 0 without any."""
        return max(self.values(metric, **labels), default=0.0)

    def total(self, metric: str, **labels: str) -> float:
        """Return the sum of the values."""
        return sum(self.values(metric, **labels))
