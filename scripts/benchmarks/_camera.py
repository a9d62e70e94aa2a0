"""A camera's video through the agent's own parts: how fast, beside OpenCV alone; and the agent's memory meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import psutil

from edge_agent.camera.frames import read_all
from edge_agent.camera.motion import MotionGate
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.camera.settings import CameraSettings, MotionSettings
from edge_agent.camera.watch import run
from edge_agent.clock import now_ms
from edge_agent.contract.events import Event
from edge_agent.health import Health
from scripts.benchmarks.figure import Line
from scripts.demonstration_view import Api
from scripts.stage import Stage

ROUNDS = 5
MOST_FRAMES_PER_S = 60.0
"""What a camera's file may ask for; boxes ask for 5."""


class Watched(NamedTuple):
    """One round of the pipeline."""

    seconds: float
    looked_at: int
    """Frames that came to the motion gate; the others were decoded and passed over for newer ones."""
    read: int
    passes: int


def speed(video: Path, at_once: Path, rate: float) -> list[Line]:
    """Play a video of `rate` frames a second as fast as it goes (`at_once`): OpenCV alone, the agent's pipeline, again.

    The pipeline decodes every frame and looks at the newest whenever it has done with the last, as on a live camera.
    """
    count, alone_s, rounds = 0, [], []
    for _ in range(ROUNDS):
        count, seconds = _decode(at_once)
        alone_s.append(seconds)
        rounds.append(asyncio.run(_watch(at_once, faster=count / seconds / rate)))
    usual = sorted(rounds)[ROUNDS // 2]
    alone, ours = count / median(alone_s), count / usual.seconds
    every_s, read = _read_every_frame(video)
    each = count / every_s
    return [
        Line(name="1080p video, OpenCV alone", value=alone, unit="frames/s", compare=f"reads all {count}"),
        Line(name="  the agent's pipeline", value=ours, unit="frames/s", compare=(
            f"read {usual.read}, stopped {usual.looked_at - usual.read} at the gate, "
            f"passed over {count - usual.looked_at} for newer ones; {usual.passes} passes said"
        )),
        Line(name="  as a share", value=ours / alone, unit="", at_least=0.5),
        Line(name="  if none is passed over", value=each, unit="frames/s", compare=(
            f"read {read}, stopped {count - read} at the gate; {each / alone:.2f} of OpenCV alone"
        )),
    ]  # fmt: skip


def _decode(video: Path) -> tuple[int, float]:
    """Frames, and seconds from the first; OpenCV takes as many threads as it likes."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    assert capture.read()[0], f"{video}: OpenCV reads no frame"
    started, count = time.perf_counter(), 1
    while capture.read()[0]:
        count += 1
    capture.release()
    return count, time.perf_counter() - started


async def _watch(video: Path, faster: float) -> Watched:
    """Run the pipeline from the first frame to the end; its clock goes `faster`, as what happens in the video."""
    started: list[float] = []

    def now() -> int:
        started.append(time.perf_counter())
        return now_ms() + round((started[-1] - started[0]) * 1000 * (faster - 1))

    async def emit(_: Event) -> None:
        """Count nothing: the health does."""

    logging.getLogger("edge_agent").addHandler(logging.NullHandler())  # that the file ends is no news here
    health = Health()
    settings = CameraSettings(source=str(video), frames_per_s=MOST_FRAMES_PER_S, rendered=True)
    task = asyncio.create_task(run(settings, emit, health, now))
    while not health.faults and not task.done():
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - started[0]
    task.cancel()
    await asyncio.wait([task])
    assert "played to its end" in health.faults[0].text, health.faults
    frames, read, passes = (health.counters[f"camera.{name}"] for name in ("frames", "frames_read", "passes"))
    return Watched(seconds, frames, read, passes)


def _read_every_frame(video: Path) -> tuple[float, int]:
    """Seconds, and how many of the frames were read: as `edge-agent read-plates`, which passes none over."""
    reader, gate, read = PlateReader(), MotionGate(MotionSettings()), 0
    started = time.perf_counter()
    for frame in read_all(video):
        if gate.moves(frame.image, frame.at):
            read += 1
            reader.sights(frame.image)
    return time.perf_counter() - started, read


def memory(video: Path, folder: Path, seconds: float) -> list[Line]:
    """Run a camera box's agent on the video, again and again; look at its process after so many seconds."""
    resident, most, passes = asyncio.run(_memory(video, folder, seconds))
    return [
        Line(name="camera agent on 1080p, resident at most", value=most, unit="MB", at_most=250, compare=(
            f"{resident:.0f} MB after {seconds:g} s; {passes} passes stored"
        )),
    ]  # fmt: skip


async def _memory(video: Path, folder: Path, seconds: float) -> tuple[float, float, int]:
    stage = Stage(folder)
    sets = [f"camera.source={video}", "camera.password_file=null", "camera.loop=true", "camera.rendered=true"]
    async with Api.opened(stage.address, stage.tokens()) as api, stage.collector():
        await api.ready()
        async with stage.agent("cam-01", every_s=1, sets=sets) as pid:
            await asyncio.sleep(seconds)
            process = psutil.Process(pid)
            status = Path(f"/proc/{pid}/status").read_text()
            most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
            passes = len(await api.get("police", "plates", limit="100"))
            assert passes, f"the agent read no plate in {seconds:g} s; its log: {folder / 'logs'}"
            return process.memory_info().rss / 1e6, most * 1024 / 1e6, passes
