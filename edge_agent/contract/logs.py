"""The log: lines for people, or a JSON object a line for machines (`--log json`)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import argparse

TEXT = "%(levelname)s %(message)s"


class JsonLines(logging.Formatter):
    """time (UTC), level, part (the module), message, and the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def add_argument(parser: argparse.ArgumentParser) -> None:
    """`--log text|json` for a command that runs for long."""
    parser.add_argument("--log", choices=("text", "json"), default="text", help="the form of the log's lines")


def begin(form: str) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
