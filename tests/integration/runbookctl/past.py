"""A Prometheus whose past a test writes: backfilled blocks, made by promtool from OpenMetrics."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from demo.servers.prometheus import PrometheusServer
from tools.toolchain.paths import launcher

STEP = timedelta(seconds=15)


@dataclass
class WrittenPast:
    """Samples by series, and their text for promtool, whose series must not be interleaved."""

    samples: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)

    def write(
        self, name: str, labels: Mapping[str, str], start: datetime, end: datetime, value: float, step: timedelta = STEP
    ) -> None:
        """Add a sample per `step` in [start, end)."""
        text = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
        rows = self.samples.setdefault(f"{name}{{{text}}}", [])
        rows += [(start + number * step, value) for number in range(int((end - start) / step))]

    def fires(self, labels: Mapping[str, str], start: datetime, end: datetime) -> None:
        """Let an alert fire in [start, end)."""
        self.write("ALERTS", {"alertstate": "firing", **labels}, start, end, 1)

    def openmetrics(self) -> str:
        lines: list[str] = []
        previous = ""
        for series in sorted(self.samples, key=lambda each: each.partition("{")[0]):
            name = series.partition("{")[0]
            lines += [f"# TYPE {name} gauge"] if name != previous else []
            lines += [f"{series} {value:g} {at.timestamp():.3f}" for at, value in self.samples[series]]
            previous = name
        return "\n".join([*lines, "# EOF", ""])


@contextmanager
def prometheus_with(past: WrittenPast, folder: Path, options: Sequence[str] = ()) -> Iterator[PrometheusServer]:
    """Run a Prometheus that has these samples, and scrapes nothing."""
    source, config = folder / "past.om", folder / "prometheus.yml"
    source.write_text(past.openmetrics(), encoding="utf-8")
    config.write_text("global: {}\n", encoding="utf-8")
    command = [launcher("promtool"), "tsdb", "create-blocks-from", "openmetrics", source, folder / "data"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    server = PrometheusServer(folder, config)
    server.start()
    try:
        yield server
    finally:
        server.stop()
