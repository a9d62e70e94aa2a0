"""The servers of a stage, as programs that can be killed and started again in their folder at their port."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from collector.authority import Authority
from collector.credentials import access_list
from scripts.fault_matrix.programs import Program

DATABASE = "island"
START_INFLUXD = Path(__file__).parents[2] / "firmware_configs" / "influxdb" / "start-influxd"


def mosquitto(
    folder: Path, port: int, passwords: Path, collectors: Sequence[str], addresses: Sequence[str] = ()
) -> Program:
    """Debian's broker with persistence, so that there is a state to lose; by TLS at `addresses` beyond loopback."""
    home = folder / "mosquitto"
    home.mkdir()
    access, conf = home / "access", home / "mosquitto.conf"
    access.write_text(access_list(collectors))
    lines = [f"listener {port} 127.0.0.1"]
    if addresses:
        certificate, key = Authority(folder / "authority").issue("broker", days=2, addresses=addresses)
        for address in addresses:
            lines += [f"listener {port} {address}", f"certfile {certificate}", f"keyfile {key}"]
    conf.write_text(
        "\n".join(lines) + f"\nuser root\nallow_anonymous false\npassword_file {passwords}\nacl_file {access}\n"
        f"persistence true\npersistence_location {home}/\nautosave_interval 2\n"
    )
    return Program("mosquitto", [program("mosquitto"), "-c", str(conf)], folder, port=port)


def influxd(home: Path, logs: Path, ports: tuple[int, int]) -> Program:
    """Debian's InfluxDB 1.6.7, started as its unit does; it listens on the first port."""
    program("influxd")
    conf = logs / "influxd.conf"
    conf.write_text(influxd_settings(home, *ports))
    return Program("influxd", [str(START_INFLUXD), "-config", str(conf)], logs, port=ports[0])


def influxd_settings(home: Path, port: int, other: int) -> str:
    """InfluxDB's file; it listens on `port` for questions and lines, and takes the other for itself."""
    return f"""
        reporting-disabled = true
        bind-address = "127.0.0.1:{other}"
        [meta]
          dir = "{home}/meta"
        [data]
          dir = "{home}/data"
          wal-dir = "{home}/wal"
          query-log-enabled = false
        [http]
          bind-address = "127.0.0.1:{port}"
          log-enabled = false
        [monitor]
          store-enabled = false
        """


def victoria_metrics(home: Path, logs: Path, port: int) -> Program:
    """Debian's VictoriaMetrics 1.79."""
    command = [
        program("victoria-metrics"),
        f"-storageDataPath={home}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=128MB",
        "-storage.minFreeDiskSpaceBytes=2MB",
    ]
    return Program("victoria-metrics", command, logs, port=port)


def make_database(port: int, limit_s: float = 30.0) -> None:
    """Make the database in InfluxDB 1.x. Raises URLError if it does not answer."""
    address = f"http://127.0.0.1:{port}/query?{urlencode({'q': f'CREATE DATABASE {DATABASE}'})}"
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        with suppress(OSError):
            urlopen(Request(address, method="POST"), timeout=5).close()
            return
        time.sleep(0.2)
    raise URLError("InfluxDB does not answer")


def program(name: str) -> str:
    """Where a program stands, also where it is not in everybody's path. Raises FileNotFoundError."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found
