"""Frames from a real RTSP server that is killed and frozen, from video files whole and cut short, from folders."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from processes import Program, free_port, wait_until

from edge_agent.camera.frames import Camera, CameraError, Frame, read_all
from edge_agent.camera.settings import CameraSettings
from edge_agent.clock import now_ms
from edge_agent.health import Health

COUNT, RATE = 50, 25
LIMIT_S = 20.0
"""For what must come; only a broken test waits so long."""
SILENCE_S = 1.2
STALE_MS = 1000
"""A frame that comes so long after the server froze can only be one that OpenCV still had."""
BITS, BLOCK = 6, 32


def drawn(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
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


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same two seconds as .h264, .mp4, .webm, .avi and cut short."""
    folder = tmp_path_factory.mktemp("clips")
    raw = b"".join(drawn(n).tobytes() for n in range(COUNT))
    size = f"{BITS * BLOCK}x96"
    bare = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", size, "-r", str(RATE), "-i", "-", "-pix_fmt", "yuv420p"]
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-movflags", "faststart"]
    encoders = {"clip.h264": x264, "clip.mp4": x264, "clip.webm": ["-c:v", "libvpx"], "clip.avi": ["-c:v", "mjpeg"]}
    for name, encoder in encoders.items():
        subprocess.run(["ffmpeg", "-v", "error", *bare, *encoder, folder / name], input=raw, check=True)
    for name in encoders:
        whole = (folder / name).read_bytes()
        (folder / f"cut-{name}").write_bytes(whole[: len(whole) * 3 // 4])
    return folder


@pytest.fixture
def server(clips: Path, tmp_path: Path) -> Iterator[Server]:
    with Server(clips / "clip.h264", tmp_path) as running:
        yield running


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
    limits = {"open_timeout_s": 2.0, "read_timeout_s": SILENCE_S, "reopen_s": 0.2, "frames_per_s": 60.0}
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


async def test_frames_of_an_rtsp_camera_arrive_in_order(server: Server) -> None:
    health = Health()
    before = now_ms()
    async with Camera(server.settings(), health) as camera:
        frames = await take(camera, 15)
    steps = [(number(b) - number(a)) % COUNT for a, b in pairwise(frames)]
    assert 0 < min(steps) and max(steps) < COUNT // 2, "none twice, none backwards"
    assert [frame.at for frame in frames] == sorted(frame.at for frame in frames) and frames[0].at >= before
    assert all(frame.position_s is None for frame in frames)
    assert not health.faults and not health.counters


async def test_killed_and_started_again(server: Server) -> None:
    health = Health()
    async with Camera(server.settings(), health) as camera:
        await take(camera, 3)
        server.stop(signal.SIGKILL)
        watching = asyncio.create_task(watch(camera))
        await until(lambda: fault(health) != "", "the loss is a fault")
        assert f"127.0.0.1:{server.port}/gate" in fault(health)
        watching.cancel()
        await asyncio.wait([watching])
        server.start()
        assert (await take(camera, 2))[1].at <= now_ms()
    assert not health.faults
    assert health.counters["camera.lost"] == health.counters["camera.reopened"] == 1


async def test_frozen_server_is_given_up_and_no_old_frame_passes_as_new(server: Server) -> None:
    health = Health()
    async with Camera(server.settings(), health) as camera:
        await take(camera, 3)
        server.freeze()
        frozen_at = now_ms()
        got: list[Frame] = []
        watching = asyncio.create_task(watch(camera, got.append))
        await until(lambda: fault(health) != "", "the silence is a fault")
        assert f"no frame for {SILENCE_S:g} s" in fault(health)
        await until(lambda: "did not open" in fault(health), "a frozen server does not open")
        assert [frame.at - frozen_at for frame in got if frame.at - frozen_at > STALE_MS] == []
        count = len(got)
        server.thaw()
        await until(lambda: len(got) > count, "frames again")
        assert not health.faults
        watching.cancel()


async def test_thread_that_hangs_is_a_fault_until_it_goes_on(server: Server) -> None:
    goes_on = threading.Event()

    def hanging() -> int:
        goes_on.wait(LIMIT_S)
        return now_ms()

    health = Health()
    async with Camera(server.settings(open_timeout_s=0.5, read_timeout_s=0.5), health, hanging) as camera:
        waiting = asyncio.create_task(take(camera, 1))
        await until(lambda: "no answer at all" in fault(health), "a fault")
        goes_on.set()
        await waiting
    assert not health.faults


async def test_hands_out_no_more_than_asked_and_the_newest(server: Server) -> None:
    async with Camera(server.settings(frames_per_s=5.0), Health()) as camera:
        frames = await take(camera, 6)
        assert frames[-1].at - frames[0].at >= 5 * 200 * 0.7  # each may come a quarter early
        await asyncio.sleep(0.6)
        asked = now_ms()
        assert (await take(camera, 1))[0].at >= asked, "what came while nobody asked is not handed out"


async def test_password_comes_from_its_file_and_is_never_shown(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret, wrong = "p@ss:w/o?rd#%41", "not-the-one"
    file = tmp_path / "password"
    file.write_text(wrong + "\n")
    health = Health()
    with Server(clips / "clip.h264", tmp_path, "admin", secret) as server:
        source = f"rtsp://admin@127.0.0.1:{server.port}/gate"
        async with Camera(settings(source, password_file=str(file)), health) as camera:
            waiting = asyncio.create_task(take(camera, 2))
            await until(lambda: "did not open" in fault(health), "the wrong password does not open")
            said = fault(health)
            file.unlink()
            await until(lambda: str(file) in fault(health), "a missing file is named")
            file.write_text("")
            await until(lambda: "is empty" in fault(health), "an empty file is named")
            file.write_text(secret + "\n")
            assert len(await waiting) == 2
    shown = said + caplog.text + "".join(capfd.readouterr())
    assert source in shown
    assert secret not in shown and wrong not in shown and "p%40ss" not in shown


async def test_leaving_and_cancelling_end_the_thread(server: Server) -> None:
    async with Camera(server.settings(), Health()) as camera:
        await take(camera, 1)
        assert len(threads()) == 1
    assert not threads()

    async def whole() -> None:
        async with Camera(server.settings(), Health()) as camera:
            await watch(camera)

    for pause in (0.0, 0.5):
        task = asyncio.create_task(whole())
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    server.freeze()
    task = asyncio.create_task(whole())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT_S)
    assert task.cancelled(), "a thread that hangs in a dead stream holds nobody"
    await until(lambda: not threads(), "it ends within the stream's limit")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.avi", "clip.h264"])
def test_reads_every_frame_of_a_video(clips: Path, name: str) -> None:
    frames = list(read_all(clips / name, now=lambda: 1_000_000))
    assert [number(frame) for frame in frames] == list(range(COUNT))
    assert [frame.position_s for frame in frames] == pytest.approx([n / RATE for n in range(COUNT)], abs=0.002)
    assert frames[25].at == 1_001_000


@pytest.mark.parametrize("name", ["cut-clip.mp4", "cut-clip.webm", "cut-clip.avi", "cut-clip.h264"])
def test_video_that_is_cut_short_ends_early(clips: Path, name: str) -> None:
    frames = list(read_all(clips / name))
    assert COUNT // 4 < len(frames) < COUNT
    assert [number(frame) for frame in frames[:10]] == list(range(10))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of five pictures, one of them damaged, and something else."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(5):
        cv2.imwrite(str(folder / f"{n}.png"), drawn(n + 1))
    (folder / "2.png").write_bytes(b"\x89PNG broken")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_reads_every_sound_picture_of_a_folder(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = list(read_all(pictures))
    assert [number(frame) for frame in frames] == [1, 2, 4, 5]
    assert frames[3].at - frames[0].at == 800
    assert "2.png" in caplog.text


async def test_folder_plays_once_by_the_clock_and_ends(pictures: Path) -> None:
    health = Health()
    before = now_ms()
    async with asyncio.timeout(LIMIT_S), Camera(settings(pictures, frames_per_s=3.0), health) as camera:
        frames = [frame async for frame in camera]
        with pytest.raises(StopAsyncIteration):
            await anext(camera)
    assert [number(frame) for frame in frames] == [1, 2, 4, 5]
    assert frames[0].at >= before and frames[3].at - frames[0].at >= 4 / 3 * 1000 * 0.7
    assert health.counters == {"camera.bad_frames": 1} and not health.faults


async def test_loops_a_folder_and_a_video(pictures: Path, clips: Path) -> None:
    async with Camera(settings(pictures, loop=True), Health()) as camera:
        assert [number(frame) for frame in await take(camera, 8)].count(1) >= 2
    async with Camera(settings(clips / "clip.mp4", loop=True), Health()) as camera:
        frames = await take(camera, 60)
    positions = [frame.position_s or 0.0 for frame in frames]
    assert sum(b < a for a, b in pairwise(positions)) >= 1
    assert frames[-1].at - frames[0].at >= 59 / RATE * 1000 * 0.9, "at its own pace"


async def test_plays_a_video_after_a_camera_was_open(server: Server, clips: Path) -> None:
    async with Camera(server.settings(), Health()) as camera:
        await take(camera, 1)
    async with Camera(settings(clips / "clip.webm"), Health()) as camera:
        assert number((await take(camera, 1))[0]) == 0
    assert len(list(read_all(clips / "clip.mp4"))) == COUNT


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.mp4", "no such file or folder"),
        ("empty", "no picture"),
        ("noise.mp4", "no frame that can be read"),
        ("nothing.mp4", "no frame that can be read"),
        ("/dev/video97", "did not open"),
    ],
)
async def test_what_gives_no_frame_is_a_clear_fault(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(5).bytes(20_000))
    (tmp_path / "nothing.mp4").touch()
    where = source if source.startswith("/dev") else str(tmp_path / source)
    health = Health()
    async with Camera(settings(where), health) as camera:
        waiting = asyncio.create_task(take(camera, 1))
        await until(lambda: fault(health) != "", "a fault")
        waiting.cancel()
        await asyncio.wait([waiting])
    assert says in fault(health) and where in fault(health)
    if not source.startswith("/dev"):
        with pytest.raises(CameraError, match=says):
            list(read_all(Path(where)))


async def test_file_that_comes_later_is_played(tmp_path: Path, clips: Path) -> None:
    health = Health()
    async with Camera(settings(tmp_path / "later.mp4"), health) as camera:
        waiting = asyncio.create_task(take(camera, 1))
        await until(lambda: fault(health) != "", "a fault")
        shutil.copy(clips / "clip.mp4", tmp_path / "copy")
        (tmp_path / "copy").rename(tmp_path / "later.mp4")
        assert number((await waiting)[0]) == 0
    assert not health.faults


async def test_error_that_nobody_foresaw_comes_out(pictures: Path) -> None:
    def broken_clock() -> int:
        raise ZeroDivisionError

    async with Camera(settings(pictures), Health(), broken_clock) as camera:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await take(camera, 1)
    assert not threads()
