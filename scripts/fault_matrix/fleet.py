"""The configuration of the boxes of a stage: two stations and a camera on this machine."""

from __future__ import annotations

from pathlib import Path

from scripts.fault_matrix.numbered import INSTRUMENTS

BOXES = {"air-01": "station", "air-02": "station", "cam-01": "camera"}
"""Name: type."""
OUTBOX_MB = 4
KEEPALIVE_S = 5

_FLEET = f"""\
state: /var/lib/edge-agent
broker: {{host: 127.0.0.1, port: 1883, keepalive_s: {KEEPALIVE_S}}}
outbox: {{max_mb: {OUTBOX_MB}}}
uplink: {{resend_s: 1, resend_max_s: 4, backlog_packs_per_s: 100, pack_kb: 8}}
health: {{every_s: 5}}
"""


def write_fleet(folder: Path, brokers: dict[str, str], passwords: dict[str, str]) -> None:
    """Write the files of the fleet; `brokers` says where each box reaches its broker."""
    for level in ("types", "devices"):
        (folder / level).mkdir(parents=True)
    (folder / "fleet.yaml").write_text(_FLEET)
    (folder / "types" / "station.yaml").write_text(_station())
    (folder / "types" / "camera.yaml").write_text("camera: {source: rtsp://127.0.0.1/none}\n")
    for name, kind in BOXES.items():
        secret = folder / f"{name}.password"
        secret.touch(mode=0o600)
        secret.write_text(passwords[name])
        (folder / "devices" / f"{name}.yaml").write_text(
            f"device: {name}\ntype: {kind}\nsite: here\nlabel: {name}\nposition: {{lat: 10.2, lon: 104.0}}\n"
            f"broker: {{{brokers[name]}, password_file: {secret}}}\n"
        )


def _station() -> str:
    """Eight instruments that give one quantity each, every second, each on a line of its own."""
    lines = [f"    line-{place}: {{kind: tcp, host: 127.0.0.1, port: {place + 1}}}" for place in INSTRUMENTS]
    sensors = [
        f"    sensor-{place}: {{driver: modbus, line: line-{place}, every_s: 1,"
        f" registers: {{{quantity.name}: {{function: 3, address: 0, type: uint16}}}}}}"
        for place, quantity in INSTRUMENTS.items()
    ]
    return "\n".join(["station:", "  medium: air", "  lines:", *lines, "  sensors:", *sensors, ""])
