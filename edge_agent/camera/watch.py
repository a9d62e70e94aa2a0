"""One camera: frames -> motion -> plates -> passes -> PlateRead events, each as soon as its vote is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import cv2

from edge_agent.camera.frames import Camera
from edge_agent.camera.motion import MotionGate
from edge_agent.camera.pictures import Image, cut_jpeg
from edge_agent.camera.plates.read import Quad, Sight
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.camera.plates.tracker import Pass, Tracker
from edge_agent.camera.settings import CameraSettings
from edge_agent.clock import Now, now_ms, steady_ms
from edge_agent.contract.events import Event, PlateRead
from edge_agent.health import Health

READ_S = 60.0
"""Reading one frame takes no longer on any box."""


class Kept(NamedTuple):
    """What is kept of a frame until its passes are said: a frame for each vehicle in view would fill a small box."""

    width: int
    """Of the whole frame, in pixels, as the height."""
    height: int
    jpegs: dict[Quad, bytes]
    """Each plate with what is around it."""


async def run(
    settings: CameraSettings, emit: Callable[[Event], Awaitable[None]], health: Health, now: Now = now_ms
) -> None:
    """Watch the camera and emit every vehicle's pass once. Runs for ever; the end of a file is said as a fault.

    Raises ModelError where the plate models cannot be used.
    """
    cv2.setNumThreads(settings.threads)  # or OpenCV takes every core
    # pictures are read in threads of their own: the event loop must stay free for the uplink
    reader = await asyncio.to_thread(PlateReader, settings.threads)
    gate, tracker = MotionGate(settings.motion), Tracker(round(settings.gone_s * 1000))
    # frames are timed by the steady clock: were the clock set while a vehicle is in view, it would pass twice
    async with Camera(settings, health, steady_ms) as camera:
        async for frame in camera:
            health.count("camera.frames")
            if gate.moves(frame.image, frame.at):
                health.count("camera.frames_read")
                with health.pulse.work("plates", READ_S):
                    sights, kept = await asyncio.to_thread(_read, reader, frame.image, settings)
                passes = tracker.update(frame.at, sights, kept)
            else:
                passes = tracker.still(frame.at)
            await _emit(passes, settings, emit, health, now() - steady_ms())
            health.counters["camera.tracks_dropped"] = tracker.dropped
    await _emit(tracker.flush(), settings, emit, health, now() - steady_ms())
    health.fault("camera", f"{settings.source} is played to its end; set `loop: true` to play it again and again")
    await asyncio.Event().wait()


def _read(reader: PlateReader, image: Image, settings: CameraSettings) -> tuple[list[Sight], Kept]:
    sights = reader.sights(image)
    height, width = image.shape[:2]
    return sights, Kept(width, height, {seen.quad: cut_jpeg(image, seen.quad, settings.picture) for seen in sights})


async def _emit(
    passes: list[Pass],
    settings: CameraSettings,
    emit: Callable[[Event], Awaitable[None]],
    health: Health,
    ahead_ms: int,
) -> None:
    for seen in passes:
        if seen.read.confidence < settings.least_confidence:
            health.count("camera.passes_unsure")
            continue
        health.count("camera.passes")
        await emit(event_of(seen, settings, ahead_ms))


def event_of(seen: Pass, settings: CameraSettings, ahead_ms: int) -> PlateRead:
    """The event of a pass, with the part of the very frame that was read best.

    `ahead_ms` is the clock less the steady one, by which the pass is timed.
    """
    kept = seen.frame
    assert isinstance(kept, Kept)
    return PlateRead(
        at=ahead_ms + seen.best_at,
        text=seen.read.text,
        raw=seen.read.raw,
        confidence=seen.read.confidence,
        char_confidence=seen.read.char_confidence,
        valid=seen.read.valid,
        classes=seen.read.classes,
        colour=seen.colour,
        layout=seen.read.layout,
        quad=tuple(round(value) for corner in seen.quad for value in corner),
        frame_size=(kept.width, kept.height),
        frames=seen.frames,
        first=ahead_ms + seen.first,
        last=ahead_ms + seen.last,
        jpeg=kept.jpegs[seen.quad],
        rendered=settings.rendered,
    )
