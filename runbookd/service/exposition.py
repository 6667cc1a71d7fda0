"""Prometheus' text formats: chooses the one for a client, and writes parts of a page.

prometheus_client writes the headers and its own metrics. For each page, its encoders format the name and labels of
every sample again. A daemon that keeps the start of each line calls only `line_start` and `number_text`, which write
the same bytes as prometheus_client.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

Encoder = Callable[[Collector], bytes]
_ESCAPING = re.compile(r";\s*escaping=[^,;]*")
# Exponents by the number of digits before the decimal point.
_EXPONENTS = tuple(f"e+{digits - 1:02d}" for digits in range(17))
_NOT_FINITE = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


@dataclass(frozen=True)
class Format:
    """A text format of prometheus_client, identified by its content type."""

    content_type: str
    encoder: Encoder = field(compare=False, repr=False)

    @classmethod
    def accepted(cls, accept: str) -> "Format":
        """Return the best format for an Accept header.

        The escaping scheme is ignored, because our names need no escaping.
        """
        encoder, content_type = choose_encoder(_ESCAPING.sub("", accept))
        return cls(content_type, encoder)

    def header(self, name: str, type: str, help: str) -> str:
        """Return the HELP and TYPE lines of a metric."""
        return _header(self, name, type, help)

    def encode(self, collectors: Iterable[Collector]) -> bytes:
        """Return the families of `collectors` and the end of the page."""
        return self.encoder(_Families(family for each in collectors for family in each.collect()))


def line_start(name: str, label_names: Sequence[str], label_values: Sequence[str]) -> str:
    """Return a line up to its value, with labels sorted by name as in prometheus_client."""
    labels = ",".join(
        f'{label}="{_escape(value)}"' for label, value in sorted(zip(label_names, label_values, strict=True))
    )
    return f"{name}{{{labels}}} " if labels else f"{name} "


def number_text(value: float) -> str:
    """Format a value as prometheus_client does: fewest digits, an exponent from a million on."""
    text = repr(float(value))
    if 1e6 <= value < 1e16:  # from 1e16 on, Python itself writes an exponent
        whole, _, fraction = text.partition(".")
        return f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0.") + _EXPONENTS[len(whole)]
    return text if -1e16 < value < 1e16 else _NOT_FINITE.get(text, text)


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Family]:
        return self._families


@lru_cache(maxsize=4096)  # holds the metrics of all collectors in a few formats
def _header(format: Format, name: str, type: str, help: str) -> str:
    family = Family(name.removesuffix("_total") if type == "counter" else name, help, type)
    return format.encoder(_Families([family])).removesuffix(format.encode(())).decode()


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
