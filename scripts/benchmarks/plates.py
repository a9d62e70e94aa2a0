"""What plates cost a box: milliseconds a picture beside RapidOCR, frames of a video, memory, bytes of the models.

How many are read right is measured on photos by scripts/eval_plates.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import cv2

from edge_agent.camera.motion import MotionGate
from edge_agent.camera.pictures import Image, load_picture
from edge_agent.camera.plates.network import MODELS
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.camera.settings import MotionSettings
from scripts.benchmarks import _camera, _street
from scripts.benchmarks.figure import Figure, Line
from scripts.plate_evaluation.labels import load, select
from scripts.plate_evaluation.measure import timed
from scripts.plate_evaluation.peer import PeerError, RapidOCR
from scripts.street_clip import FRAMES_PER_S

PHOTOS = Path(os.environ.get("PLATE_PHOTOS", Path(__file__).parents[3] / "shared" / "plates"))
PHOTO, FRAME = (460, 350), (1920, 1080)
"""Width and height in px."""
COUNT = 10
CLIP_S, WATCHED_S = 28, 40

Known = tuple[Image, str]
"""A picture and the text of its plate."""


def measure() -> Figure:
    """Measure everything in one run, the reader and its peer on one thread each, by turns."""
    reader, notes = PlateReader(threads=1), []
    try:
        peer = RapidOCR()
    except PeerError as error:
        peer = None
        notes.append(f"No peer to compare with: {error}.")
    real = _real_photos()
    if not real:
        notes.append(f"No labelled street photos in {PHOTOS}: name their folder in PLATE_PHOTOS.")
    with _one_thread(), tempfile.TemporaryDirectory(prefix="bench-") as folder:
        random = Random(1)
        lines = _photos("460x350 photo, drawn", _drawn(PHOTO, (60, 140), random), reader, peer)
        lines += _photos("460x350 photo, real", real, reader, peer) if real else []
        lines += _photos("1080p frame, one plate", _drawn(FRAME, (60, 200), random), reader, None, at_most=60)
        lines.append(_gate(random))
        video = _street.street_video(Path(folder), CLIP_S)
        lines += _camera.speed(video, _street.at_once(video), FRAMES_PER_S)
        lines += _camera.memory(video, Path(folder), WATCHED_S)
    size = sum(file.stat().st_size for file in MODELS.glob("*.onnx")) / 1e6
    lines.append(Line(name="models together", value=size, unit="MB", at_most=8))
    notes.append(f"Load of the machine at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    return Figure(title="Plates: medians, one thread", lines=lines, note="\n".join(notes))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _drawn(size: tuple[int, int], plate_widths: tuple[int, int], random: Random) -> list[Known]:
    return [_street.drawn_photo(size, plate_widths, random) for _ in range(COUNT)]


def _real_photos() -> list[Known]:
    labels = PHOTOS / "labels.csv"
    if not labels.is_file():
        return []
    chosen = select(load(labels), part="check", kind="scene", folder="street", first=COUNT)
    return [(load_picture(PHOTOS / label.file), label.text) for label in chosen]


def _photos(
    what: str, photos: Sequence[Known], reader: PlateReader, peer: RapidOCR | None, at_most: float | None = None
) -> list[Line]:
    """Read every photo with both, one after the other, after one that does not count; at most so many ms of ours."""
    reader.sights(photos[0][0])
    if peer:
        peer(photos[0][0])
    ours, theirs, right = [], [], 0
    for image, text in photos:
        sights, ms, _ = timed(reader.sights, image)
        ours.append(ms)
        right += any(sight.read.text == text for sight in sights)
        if peer:
            theirs.append(timed(peer, image)[1])
    exact = f"{right} of {len(photos)} read exactly"
    lines = [Line(name=what, value=median(ours), unit="ms", at_most=at_most, compare=exact)]
    if peer:
        ratio = median(ours) / median(theirs)
        lines += [
            Line(name="  RapidOCR, by turns", value=median(theirs), unit="ms", compare=peer.name),
            Line(name="  ours as a share of it", value=ratio, unit="", at_most=0.1),
        ]
    return lines


def _gate(random: Random) -> Line:
    """An empty street that only the sensor's noise moves in."""
    gate, empty = MotionGate(MotionSettings(hold_s=0)), _street.empty_photo(FRAME, random)
    frames = [_street.noisy(empty, random) for _ in range(COUNT + 1)]
    gate.moves(frames[0], 0)
    stopped, spent = 0, []
    for number, frame in enumerate(frames[1:], 1):
        moves, ms, _ = timed(partial(gate.moves, at_ms=number), frame)
        stopped += not moves
        spent.append(ms)
    return Line(
        name="1080p frame, nothing moves",
        value=median(spent),
        unit="ms",
        at_most=3,
        compare=f"the gate stopped {stopped} of {COUNT}",
    )
