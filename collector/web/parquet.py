"""Readings and means as a Parquet file, written by DuckDB."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

KINDS = {"time": "TIMESTAMPTZ", "unit": "VARCHAR", "value": "DOUBLE", "coverage": "DOUBLE", "rule": "VARCHAR"}
"""What is not named here is a whole number."""


def parquet_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> web.Response:
    """Rows as a Parquet file to save; `at`, ISO 8601 in UTC, becomes `time`, as in the store. Blocks for a moment."""
    import duckdb  # loaded when the first file is asked for, where the store is another

    names = ["time" if column == "at" else column for column in columns]
    kinds = [KINDS.get(each, "INTEGER") for each in names]
    by_column = zip(*rows, strict=True) if (rows := list(rows)) else [()] * len(names)
    values = dict(zip(names, map(list, by_column), strict=True))
    picked = ", ".join(f"unnest(${each}::{kind}[]) AS {each}" for each, kind in zip(names, kinds, strict=True))
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as db:
        file = Path(folder) / "rows.parquet"
        db.execute(f"CREATE TABLE rows AS SELECT {picked}", values)
        db.table("rows").write_parquet(str(file))
        body = file.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{name}.parquet"'}
    return web.Response(body=body, content_type="application/vnd.apache.parquet", headers=headers)
