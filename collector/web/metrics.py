"""Prometheus' text format, as far as counters and gauges need it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

PREFIX = "collector_"
_NAME = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})?')


def render(values: Mapping[str, float]) -> str:
    """The exposition of values by name, with or without labels: `packs_total`, `packs_total{kind="plates"}`.

    A name that ends in `_total` is a counter, any other a gauge. Raises ValueError for a name that is neither.
    """
    families: dict[str, list[str]] = {}
    for name, value in values.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"not the name of a metric: {name!r}")
        families.setdefault(match[1], []).append(f"{PREFIX}{name} {value:.17g}")
    lines: list[str] = []
    for family in sorted(families):
        lines.append(f"# TYPE {PREFIX}{family} {'counter' if family.endswith('_total') else 'gauge'}")
        lines += families[family]
    return "\n".join(lines) + "\n"


def reasoned(text: str) -> str:
    """A reason as a label: without what it says of the single case behind a colon, so that there are few of them."""
    return re.sub(r'["\\\n]', "'", text.partition(":")[0])[:80]


def labelled(name: str, label: str, values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Values of one metric by one label."""
    return {f'{name}{{{label}="{key}"}}': value for key, value in values}
