"""A camera watched from frames to events: clips and folders of pictures that are drawn, read by the real networks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import fault, threads, until
from drawn_plates import Image, plate, put, street, upright

from edge_agent.camera.frames import Frame
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.camera.settings import CameraSettings, MotionSettings, PictureSettings
from edge_agent.camera.watch import run
from edge_agent.contract.events import Event, PlateRead
from edge_agent.health import Health
from scripts.street_clip import Passage, render_clip

ENOUGH_S = 45.0


async def watched(
    settings: CameraSettings, end: Callable[[Health], bool] = lambda health: "its end" in fault(health)
) -> tuple[list[PlateRead], Health]:
    """Watch until the file has ended (or what `end` says); give the events."""
    events: list[PlateRead] = []
    health = Health()

    async def emit(event: Event) -> None:
        assert isinstance(event, PlateRead)
        events.append(event)

    task = asyncio.create_task(run(settings, emit, health))
    try:
        async with asyncio.timeout(ENOUGH_S):
            while not end(health) and not task.done():
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return events, health


def pictures(folder: Path, *frames: Image) -> Path:
    """A folder that plays as a camera, each picture once."""
    for number, frame in enumerate(frames):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), frame)
    return folder


def car(x: float = 120) -> Image:
    drawn = plate("68A-123.45")
    return put(street(320, 240), drawn, upright(x, 150, 120, drawn))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Passage]]:
    path = tmp_path_factory.mktemp("clip") / "street.mp4"
    return path, render_clip(path, seconds=14, seed=1)


@pytest.fixture(scope="module")
def clip_watched(clip: tuple[Path, list[Passage]]) -> tuple[list[PlateRead], Health]:
    settings = CameraSettings(source=str(clip[0]), rendered=True, picture=PictureSettings(max_kb=6))
    return asyncio.run(watched(settings))


def test_every_pass_of_the_clip_is_said_once_and_right(
    clip: tuple[Path, list[Passage]], clip_watched: tuple[list[PlateRead], Health]
) -> None:
    events, health = clip_watched
    said = [(event.text, event.layout, event.colour) for event in events]
    assert said == [(true.text, true.layout, true.colour) for true in clip[1]]
    for event, true in zip(events, clip[1], strict=True):
        assert event.valid
        assert event.rendered
        assert event.confidence >= 0.8
        assert len(event.char_confidence) == len(event.raw)
        assert "car" in event.classes or "moto_old" in event.classes
        assert event.first <= event.at <= event.last
        assert event.last - event.first <= 1000 * (true.last_s - true.first_s) + 500
        assert event.frames >= 2
        assert event.frame_size == (854, 480)
    assert events[0].last < events[1].first
    assert health.counters["camera.passes"] == 2
    assert 0 < health.counters["camera.frames_read"] <= health.counters["camera.frames"]


def test_the_picture_shows_the_plate_that_was_read_and_what_is_around_it(
    clip_watched: tuple[list[PlateRead], Health],
) -> None:
    reader = PlateReader()
    for event in clip_watched[0]:
        assert len(event.jpeg) <= 6000
        picture = cv2.imdecode(np.frombuffer(event.jpeg, np.uint8), cv2.IMREAD_COLOR)
        height, width = picture.shape[:2]
        assert width <= 240
        quad = np.array(event.quad).reshape(4, 2)
        across, down = np.ptp(quad, axis=0)
        assert width / height == pytest.approx(2 * across / (3 * down), rel=0.15)
        sights = {sight.read.text: np.array(sight.quad) for sight in reader.sights(picture)}
        seen = sights[event.text]  # the same plate, in the middle
        assert np.abs(seen.mean(0) - (width / 2, height / 2)).max() < 0.15 * width
        assert (seen.min(0) > (0.1 * width, 0.1 * height)).all()
        assert (seen.max(0) < (0.9 * width, 0.9 * height)).all()


def test_the_end_of_a_file_is_a_fault(
    clip: tuple[Path, list[Passage]], clip_watched: tuple[list[PlateRead], Health]
) -> None:
    assert f"{clip[0]} is played to its end" in fault(clip_watched[1])
    assert "loop: true" in fault(clip_watched[1])
    assert threads() == []


@pytest.mark.parametrize("share", [0.003, 0.0], ids=["motion gate", "every frame read"])
async def test_a_vehicle_that_stands_still_is_one_event(tmp_path: Path, share: float) -> None:
    settings = CameraSettings(
        source=str(pictures(tmp_path, *[car()] * 8)), frames_per_s=3, gone_s=2, motion=MotionSettings(share=share)
    )
    assert settings.gone_s < 8 / 3
    events, health = await watched(settings)
    assert [event.text for event in events] == ["68A12345"]
    assert (health.counters["camera.frames_read"] == health.counters["camera.frames"]) == (share == 0)


async def test_two_vehicles_in_one_frame_are_two_events(tmp_path: Path) -> None:
    drawn = plate("68-B1", "246.80")
    both = put(car(), drawn, upright(20, 40, 90, drawn))
    source = pictures(tmp_path, *[both] * 4)
    events, _ = await watched(CameraSettings(source=str(source), frames_per_s=3))
    assert sorted(event.text for event in events) == ["68A12345", "68B124680"]
    first, second = sorted(events, key=lambda event: event.text)
    assert first.quad[0] > second.quad[0]


async def test_a_plate_read_unsurely_is_counted_not_sent(tmp_path: Path) -> None:
    smeared = cv2.GaussianBlur(car(), (0, 0), 2.2)
    source = str(pictures(tmp_path, *[np.asarray(smeared, np.uint8)] * 4))
    settings = CameraSettings(source=source, frames_per_s=3, least_confidence=1.0)
    events, health = await watched(settings)
    assert events == []
    assert health.counters["camera.passes_unsure"] == 1
    assert health.counters["camera.passes"] == 0


async def test_an_empty_street_says_nothing(tmp_path: Path) -> None:
    events, health = await watched(
        CameraSettings(source=str(pictures(tmp_path, *(street(320, 240, seed) for seed in range(3)))), frames_per_s=4)
    )
    assert events == []
    assert health.counters["camera.frames"] >= 1


async def test_a_damaged_picture_is_counted_and_the_next_one_read(tmp_path: Path) -> None:
    source = pictures(tmp_path, *[car()] * 6)
    (source / "001.png").write_bytes((source / "001.png").read_bytes()[:300])
    (source / "002.png").write_bytes(b"no picture at all")
    events, health = await watched(CameraSettings(source=str(source), frames_per_s=3))
    assert [event.text for event in events] == ["68A12345"]
    assert health.counters["camera.bad_frames"] >= 1


async def test_a_source_that_is_missing_is_a_fault_and_no_event(tmp_path: Path) -> None:
    missing = tmp_path / "none.mp4"
    events, health = await watched(
        CameraSettings(source=str(missing), reopen_s=0.1), lambda health: bool(fault(health))
    )
    assert events == []
    assert str(missing) in fault(health)
    await until(lambda: threads() == [], "the camera's thread ends")


async def test_cancelling_ends_the_threads_wherever_they_are(tmp_path: Path) -> None:
    settings = CameraSettings(source=str(pictures(tmp_path, *[car()] * 3)), loop=True, frames_per_s=5)
    for frames in (0, 1, 2):
        await watched(settings, lambda health, frames=frames: health.counters["camera.frames_read"] >= frames)  # type: ignore[misc]
        await until(lambda: threads() == [], "the camera's thread ends")


async def test_what_cannot_be_emitted_ends_the_watch(tmp_path: Path) -> None:
    async def full(event: Event) -> None:
        raise OSError("the outbox is gone")

    settings = CameraSettings(source=str(pictures(tmp_path, *[car()] * 6)), loop=True, frames_per_s=5)
    with pytest.raises(OSError, match="outbox"):
        async with asyncio.timeout(ENOUGH_S):
            await run(settings, full, Health())
    await until(lambda: threads() == [], "the camera's thread ends")


async def test_no_frame_is_kept_for_a_vehicle_that_is_not_said_yet(tmp_path: Path) -> None:
    """A frame of 1080p is 6 MB, and a street may hold many vehicles."""
    frames = []
    for number, text in enumerate(("68A-123.45", "51F-806.79", "30E-947.18", "92C-038.26")):
        drawn = plate(text)
        place = upright(10 + 160 * (number % 2), 20 + 120 * (number // 2), 120, drawn)
        frames.append(put(street(320, 240), drawn, place))
    alive = -1

    def end(health: Health) -> bool:
        nonlocal alive
        if health.counters["camera.frames_read"] < len(frames):
            return False
        gc.collect()
        alive = sum(isinstance(kept, Frame) for kept in gc.get_objects())
        return True

    events, health = await watched(CameraSettings(source=str(pictures(tmp_path, *frames)), frames_per_s=4), end)
    assert (events, health.counters["camera.tracks_dropped"]) == ([], 0), "all of them are waited for"
    assert 1 <= alive <= 2, "the one that is read and perhaps the next"
