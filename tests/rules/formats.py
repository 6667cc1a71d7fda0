"""Format numbers like Prometheus templates."""

from collections.abc import Callable, Mapping


def duration(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{seconds * 1000:.4g}ms" if seconds else "0s"
    whole = int(seconds)
    minutes, hours, days = whole // 60 % 60, whole // 3600 % 24, whole // 86400
    if days:
        return f"{days}d {hours}h {minutes}m {whole % 60}s"
    if hours:
        return f"{hours}h {minutes}m {whole % 60}s"
    return f"{minutes}m {whole % 60}s" if minutes else f"{seconds:.4g}s"


def count(value: float) -> str:
    return f"{value:.0f}"


def percent(ratio: float) -> str:
    return f"{ratio * 100:.4g}%"


def binary(value: float) -> str:
    for prefix in ("", "ki", "Mi", "Gi"):
        if abs(value) < 1024 or prefix == "Gi":
            break
        value /= 1024
    return f"{value:.4g}{prefix}"


def rate(value: float) -> str:
    return f"{value * 1000:.4g}m" if 0 < abs(value) < 1 else f"{value:.4g}"


FORMATS: Mapping[str, Callable[[float], str]] = {
    "duration": duration,
    "count": count,
    "percent": percent,
    "bytes": binary,
    "rate": rate,
}
