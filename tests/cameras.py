"""Cameras for tests: clips whose frames show their number, a real RTSP server, and what waits for frames."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ports import free_port
from processes import Program, wait_until

from edge_agent.camera.frames import Camera, Frame
from edge_agent.camera.settings import CameraSettings
from edge_agent.health import Health

COUNT, RATE = 50, 25
LIMIT_S = 20.0
"""For what must come; only a broken test waits so long."""
SILENCE_S = 1.2
BITS, BLOCK = 6, 32
X264 = ("libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-movflags", "faststart")
ENCODERS = {".h264": X264, ".mp4": X264, ".webm": ("libvpx",), ".avi": ("mjpeg",)}


def drawn(number: int) -> NDArray[np.uint8]:
    """A frame that shows its number as bright and dark blocks."""
    image = np.full((96, BITS * BLOCK, 3), 16, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[:, bit * BLOCK : (bit + 1) * BLOCK] = 235
    return image


def number(frame: Frame) -> int:
    """What `drawn` drew."""
    middles = frame.image[48, BLOCK // 2 :: BLOCK, 1]
    return sum(1 << bit for bit in range(BITS) if middles[bit] > 128)


def encoded(file: Path) -> Path:
    """Write two seconds of numbered frames in the format that the name says."""
    raw = b"".join(drawn(n).tobytes() for n in range(COUNT))
    given = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{BITS * BLOCK}x96", "-r", str(RATE), "-i", "-"]
    encoder = ["-pix_fmt", "yuv420p", "-c:v", *ENCODERS[file.suffix]]
    subprocess.run(["ffmpeg", "-v", "error", *given, *encoder, str(file)], input=raw, check=True)
    return file


class Server(Program):
    """The RTSP server on a port of its own."""

    def __init__(self, clip: Path, folder: Path, *login: str) -> None:
        self.port = free_port()
        script = str(Path(__file__).with_name("rtsp_server.py"))
        super().__init__("rtsp", ["/usr/bin/python3", script, str(self.port), str(clip), *login], folder)

    def start(self) -> None:
        super().start()
        wait_until(self._listens, LIMIT_S, "the RTSP server listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def settings(self, **more: object) -> CameraSettings:
        return settings(f"rtsp://127.0.0.1:{self.port}/gate", **more)


def settings(source: str | Path, **more: object) -> CameraSettings:
    """Settings with short limits."""
    limits = {"open_timeout_s": 1.5, "read_timeout_s": SILENCE_S, "reopen_s": 0.2, "frames_per_s": 60.0}
    return CameraSettings(source=str(source), **{**limits, **more})  # type: ignore[arg-type]


async def take(camera: Camera, count: int) -> list[Frame]:
    """The next frames."""
    async with asyncio.timeout(LIMIT_S):
        return [await anext(camera) for _ in range(count)]


async def watch(camera: Camera, keep: Callable[[Frame], None] = lambda _: None) -> None:
    """Take frames until cancelled."""
    async for frame in camera:
        keep(frame)


async def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, f"not within {LIMIT_S} s: {what}"
        await asyncio.sleep(0.02)


def fault(health: Health) -> str:
    """The text of the camera's fault, or nothing."""
    return " ".join(fault.text for fault in health.faults if fault.part == "camera")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "camera"]
