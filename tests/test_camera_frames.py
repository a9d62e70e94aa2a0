"""Frames from a real RTSP server that is killed, frozen and started again."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cameras import COUNT, LIMIT_S, SILENCE_S, Server, encoded, fault, number, settings, take, threads, until, watch

from edge_agent.camera.frames import Camera, Frame, read_all
from edge_agent.clock import now_ms
from edge_agent.health import Health

STALE_MS = 1000
"""A frame that comes so long after the server froze can only be one that OpenCV still had."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoded(tmp_path_factory.mktemp("clips") / "clip.h264")


@pytest.fixture
def server(clip: Path, tmp_path: Path) -> Iterator[Server]:
    with Server(clip, tmp_path) as running:
        yield running


async def test_frames_of_an_rtsp_camera_arrive_in_order(server: Server) -> None:
    health = Health()
    before = now_ms()
    async with Camera(server.settings(), health) as camera:
        frames = await take(camera, 15)
    steps = [(number(b) - number(a)) % COUNT for a, b in pairwise(frames)]
    assert min(steps) > 0 and max(steps) < COUNT // 2, "none twice, none backwards"
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
        frames = await take(camera, 5)
        assert frames[-1].at - frames[0].at >= 4 * 200 * 0.7  # each may come a quarter early
        await asyncio.sleep(0.6)
        asked = now_ms()
        assert (await take(camera, 1))[0].at >= asked, "what came while nobody asked is not handed out"


async def test_password_comes_from_its_file_and_is_never_shown(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret, wrong = "p@ss:w/o?rd#%41", "not-the-one"
    file = tmp_path / "password"
    file.write_text(wrong + "\n")
    health = Health()
    with Server(clip, tmp_path, "admin", secret) as server:
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


async def test_files_play_after_a_camera_was_open(server: Server, clip: Path) -> None:
    async with Camera(server.settings(), Health()) as camera:
        await take(camera, 1)
    webm = encoded(clip.with_suffix(".webm"))
    async with Camera(settings(webm), Health()) as camera:
        assert number((await take(camera, 1))[0]) == 0
    assert len(list(read_all(webm))) == COUNT


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
