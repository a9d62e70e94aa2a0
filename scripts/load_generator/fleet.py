"""A fleet's folder with as many boxes as the load needs, the broker's password file, and the boxes' secrets."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from collector.credentials import enrol_all
from edge_agent.contract.device import COLLECTOR
from scripts.load_generator.mix import KINDS, devices

CONFIGS = Path(__file__).parents[2] / "firmware_configs"
PASSWORDS, SECRETS = "boxes.passwords", "secrets.json"
_CAMERA = "camera: {source: rtsp://camera.invalid/stream1}\n"


def make_fleet(folder: Path, boxes: int, mix: Mapping[str, int], seed: int = 1) -> dict[str, str]:
    """Write the folder anew: fleet.yaml, types/, devices/, passwords; returns the kind of every box by name.

    The boxes stand at places of their own all over the island, some of them near each other. Raises OSError.
    """
    chance = random.Random(seed)
    shutil.rmtree(folder / "devices", ignore_errors=True)
    (folder / "devices").mkdir(parents=True)
    for name in ("fleet.yaml", "limits.yaml"):
        shutil.copy(CONFIGS / name, folder)
    shutil.copytree(CONFIGS / "types", folder / "types", dirs_exist_ok=True)
    found = dict(devices(boxes, mix))
    for device, kind in found.items():
        lat, lon = chance.uniform(10.02, 10.44), chance.uniform(103.85, 104.05)
        (folder / "devices" / f"{device}.yaml").write_text(
            f"device: {device}\ntype: {KINDS[kind].type}\nsite: site-{_site(device)}\nlabel: {device}\n"
            f"position: {{lat: {lat:.5f}, lon: {lon:.5f}}}\n" + (_CAMERA if kind == "camera" else "")
        )
    secrets = enrol_all(folder / PASSWORDS, [*found, COLLECTOR])
    (folder / SECRETS).touch(mode=0o600)
    (folder / SECRETS).write_bytes(msgspec.json.encode(secrets))
    return found


def read_fleet(folder: Path) -> dict[str, tuple[str, str]]:
    """Kind and password of every box of a folder that `make_fleet` wrote. Raises OSError, ValueError."""
    secrets = msgspec.json.decode((folder / SECRETS).read_bytes(), type=dict[str, str])
    return {name: (name.rpartition("-")[0], secret) for name, secret in secrets.items() if name != COLLECTOR}


def _site(device: str) -> str:
    """Eight boxes share a site, as the example fleet's do."""
    return f"{int(device.rpartition('-')[2]) // 8:04}"
