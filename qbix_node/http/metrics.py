"""Figures in the text format of Prometheus (prometheus.io, exposition formats, 0.0.4)."""

from collections.abc import Iterable

from qbix_node.http.api import Metric

CONTENT_TYPE = "text/plain; version=0.0.4"


def render_metrics(metrics: Iterable[Metric]) -> str:
    """The samples of one name must stand together in `metrics`."""
    lines: list[str] = []
    described = ""
    for metric in metrics:
        if metric.name != described:
            described = metric.name
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
        labels = ",".join([f'{name}="{value}"' for name, value in metric.labels])
        braced = f"{{{labels}}}" if labels else ""
        lines.append(f"{metric.name}{braced} {metric.value!r}")
    return "".join([line + "\n" for line in lines])
