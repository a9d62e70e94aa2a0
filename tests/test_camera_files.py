"""Frames from video files whole and cut short, from folders, and from what is neither."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import COUNT, ENCODERS, LIMIT_S, RATE, drawn, encoded, fault, number, settings, take, threads, until
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from edge_agent.camera.frames import Camera, CameraError, read_all
from edge_agent.clock import now_ms
from edge_agent.health import Health


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same two seconds in each format, whole and cut short."""
    folder = tmp_path_factory.mktemp("clips")
    for suffix in ENCODERS:
        whole = encoded(folder / f"clip{suffix}").read_bytes()
        (folder / f"cut{suffix}").write_bytes(whole[: len(whole) * 3 // 4])
    return folder


@pytest.mark.parametrize("suffix", ENCODERS)
def test_reads_every_frame_of_a_video(clips: Path, suffix: str) -> None:
    frames = list(read_all(clips / f"clip{suffix}", now=lambda: 1_000_000))
    assert [number(frame) for frame in frames] == list(range(COUNT))
    assert [frame.position_s for frame in frames] == pytest.approx([n / RATE for n in range(COUNT)], abs=0.002)
    assert frames[25].at == 1_001_000


@pytest.mark.parametrize("suffix", ENCODERS)
def test_video_that_is_cut_short_ends_early(clips: Path, suffix: str) -> None:
    frames = list(read_all(clips / f"cut{suffix}"))
    assert COUNT // 4 < len(frames) < COUNT
    assert [number(frame) for frame in frames[:10]] == list(range(10))


@pytest.mark.parametrize("suffix", [".h264", ".mp4", ".avi"])
@pytest.mark.parametrize("junk", [0, None], ids=["zeros", "noise"])
def test_video_with_a_damaged_middle_goes_on_behind_it(
    clips: Path, tmp_path: Path, suffix: str, junk: int | None
) -> None:
    broken = bytearray((clips / f"clip{suffix}").read_bytes())
    middle = range(len(broken) * 6 // 10, len(broken) * 7 // 10)  # behind the index of the .mp4
    noise = np.random.default_rng(3).bytes(len(middle))
    broken[middle.start : middle.stop] = bytes(len(middle)) if junk == 0 else noise
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(broken)
    numbers = [number(frame) for frame in read_all(file)]
    assert numbers[:10] == list(range(10))
    assert numbers[-5:] == list(range(COUNT - 5, COUNT))


def test_video_whose_size_changes_is_read_to_its_end(tmp_path: Path) -> None:
    parts = []
    for size in ("192x96", "320x240", "64x64"):
        source = ["-f", "lavfi", "-i", f"testsrc=s={size}:r=10:d=1", "-c:v", "libx264", "-f", "mpegts", "-"]
        done = subprocess.run(["ffmpeg", "-v", "error", *source], stdout=subprocess.PIPE, check=True)
        parts.append(done.stdout)
    file = tmp_path / "changing.ts"
    file.write_bytes(b"".join(parts))
    assert [frame.image.shape for frame in read_all(file)] == [(96, 192, 3)] * 30  # all as the first


def test_video_of_huge_frames_is_refused_before_one_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "huge.avi"
    source = ["-f", "lavfi", "-i", "color=red:s=9000x9000:r=1:d=1", "-c:v", "mjpeg", "-q:v", "31"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(file)], check=True)
    with pytest.raises(CameraError, match=r"huge\.avi: 9000 x 9000 pixels, at most 64 million"):
        next(read_all(file))


@pytest.mark.parametrize("suffix", ENCODERS)
@given(data=st.data())
@settings_of_hypothesis(max_examples=25)
def test_damage_anywhere_in_a_video_is_frames_or_a_clear_error(clips: Path, suffix: str, data: st.DataObject) -> None:
    damaged = bytearray((clips / f"clip{suffix}").read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=20)):
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    file = clips / f"damaged{suffix}"
    file.write_bytes(damaged)
    try:
        for frame in read_all(file):
            assert (frame.image.ndim, frame.image.shape[2], frame.image.dtype) == (3, 3, np.uint8)
    except CameraError as error:
        assert str(file) in str(error)


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


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.mp4", "no such file or folder"),
        ("empty", "no picture"),
        ("noise.mp4", "no frame that can be read"),
        ("nothing.mp4", "no frame that can be read"),
        ("words.mp4", "no frame that can be read"),
        ("long" * 100 + ".mp4", "cannot be read"),
        ("/dev/video97", "did not open"),
    ],
)
async def test_what_gives_no_frame_is_a_clear_fault(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(5).bytes(20_000))
    (tmp_path / "nothing.mp4").touch()
    (tmp_path / "words.mp4").write_text("no video at all\n" * 500)
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
