#!/usr/bin/env python3
"""Write firmware_configs/schema.json, which gives completion and hints in editors, from the settings' structs.

    scripts/make_schema.py            write it
    scripts/make_schema.py --check    exit 1 if it is not what the structs say

One schema serves all three levels: keys may be missing, for another level gives them, but a file that names a device
must say what only its own file can. `edge-agent check` judges the merged result.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.config import DeviceConfig

SCHEMA = Path(__file__).resolve().parent.parent / "firmware_configs" / "schema.json"
OF_A_DEVICE = ("device", "type", "site", "label", "position")
WHOLE = ("Position", "Area")
"""Structs that are always given whole."""


def make_schema() -> dict[str, Any]:
    """The schema of any level's file."""
    schema = msgspec.json.schema(DeviceConfig)
    definitions = schema["$defs"]
    for name, definition in definitions.items():
        if name not in WHOLE:
            _loosen(definition)
    definitions["DeviceConfig"] |= {
        "title": "A device, a hardware type or the fleet",
        "if": {"required": ["device"]},
        "then": {"required": list(OF_A_DEVICE)},
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _loosen(part: Any) -> None:
    """Let keys be missing, and let `null` remove a named entry that another level gives."""
    if isinstance(part, list):
        for item in part:
            _loosen(item)
    elif isinstance(part, dict):
        part.pop("required", None)
        for below in part.values():
            _loosen(below)
        if isinstance(entry := part.get("additionalProperties"), dict):
            part["additionalProperties"] = {"anyOf": [entry, {"type": "null"}]}


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description="Writes firmware_configs/schema.json from the settings' structs.")
    parser.add_argument("--check", action="store_true", help="only tell whether the file is current")
    text = json.dumps(make_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if not parser.parse_args().check:
        SCHEMA.write_text(text, encoding="utf-8")
    elif not SCHEMA.exists() or SCHEMA.read_text(encoding="utf-8") != text:
        print(f"{SCHEMA.name} is not what the structs say: run scripts/make_schema.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
