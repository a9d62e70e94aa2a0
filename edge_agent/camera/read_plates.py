"""`edge-agent read-plates FILE... [--json]`: the plates in photos and videos."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.errors import EdgeError, ModelError

if TYPE_CHECKING:
    from edge_agent.camera.plates.read import PlateText, Quad
    from edge_agent.camera.plates.sights import PlateReader

VIDEOS = frozenset(
    {".mp4", ".mkv", ".avi", ".mov", ".m4v", ".3gp", ".mpg", ".ts", ".mts", ".webm", ".h264", ".h265", ".mjpeg"}
)
GONE_MS = 3000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "confidence is measured, not felt: of readings told with 90 % and more on photos kept for measuring, 99 of 100 "
        "were right; a reading below is a hint, and no reading is evidence without its picture"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="photos (JPEG, PNG, WebP, BMP), videos")
    parser.add_argument("--json", action="store_true", help="one JSON line a photo, one a vehicle's pass in a video")
    parser.add_argument("--threads", type=int, default=1, help="processor cores to use (default 1)")


def run(options: argparse.Namespace) -> int:
    """Read every file; 1 if one of them could not be read, else 0."""
    try:
        from edge_agent.camera.plates.sights import PlateReader
    except ImportError as error:
        raise ModelError(
            f"reading plates needs the parts of a camera box: pip install 'island-edge[camera]' ({error})"
        ) from error
    reader = PlateReader(options.threads)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be any bytes; escaped so, JSON stays JSON
        sys.stdout.reconfigure(errors="backslashreplace")
    failed = 0
    for number, file in enumerate(options.files, 1):
        if sys.stderr.isatty():
            print(f"\r{number}/{len(options.files)} {file.name[:60]:60}", end="", file=sys.stderr, flush=True)
        try:
            for found in _video(file, reader) if file.suffix.lower() in VIDEOS else _photo(file, reader):
                print(json.dumps(found, ensure_ascii=False) if options.json else _line(found), flush=True)
        except EdgeError as error:
            failed += 1
            print(error, file=sys.stderr)  # names the file
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return 1 if failed else 0


def _photo(file: Path, reader: PlateReader) -> Iterator[dict[str, Any]]:
    from edge_agent.camera.pictures import load_picture

    image = load_picture(file)
    started = time.perf_counter()
    sights = reader.sights(image)
    spent = time.perf_counter() - started
    plates = [{**_plate(sight.read, sight.quad), "colour": sight.colour} for sight in sights]
    yield {"file": str(file), "ms": round(1000 * spent, 1), "plates": plates}


def _video(file: Path, reader: PlateReader) -> Iterator[dict[str, Any]]:
    """Each pass once it is over: every frame is read, however long that takes."""
    from edge_agent.camera.frames import read_all
    from edge_agent.camera.motion import MotionGate
    from edge_agent.camera.plates.tracker import Tracker
    from edge_agent.camera.settings import MotionSettings

    gate, tracker = MotionGate(MotionSettings()), Tracker(GONE_MS, decide_ms=sys.maxsize, settle_frames=sys.maxsize)
    for frame in read_all(file, now=lambda: 0):
        moves = gate.moves(frame.image, frame.at)
        said = tracker.update(frame.at, reader.sights(frame.image), frame) if moves else tracker.still(frame.at)
        yield from (_pass(file, seen) for seen in said)
    yield from (_pass(file, seen) for seen in tracker.flush())


def _pass(file: Path, seen: Any) -> dict[str, Any]:
    times = {"first_s": seen.first / 1000, "last_s": seen.last / 1000, "frames": seen.frames}
    return {"file": str(file), **times, **_plate(seen.read, seen.quad), "colour": seen.colour}


def _plate(read: PlateText, quad: Quad) -> dict[str, Any]:
    return {
        "text": read.text,
        "raw": read.raw,
        "confidence": round(read.confidence, 3),
        "quad": [[round(x), round(y)] for x, y in quad],
        "layout": read.layout,
        "valid": read.valid,
    }


def _line(found: dict[str, Any]) -> str:
    if "plates" not in found:
        return f"{found['file']}  {found['first_s']:.1f} to {found['last_s']:.1f} s  {_words(found)}"
    words = [_words(plate) for plate in found["plates"]] or ["no plate"]
    return f"{found['file']}  " + "; ".join(words)


def _words(plate: dict[str, Any]) -> str:
    """One plate for people; a guess is said to be one, and no confidence is rounded up to certainty."""
    doubt = "" if plate["valid"] else "  (not a plate that the rules know)"
    if plate["text"] != plate["raw"]:
        doubt = f"  (repaired from {plate['raw']})"
    return f"{plate['text']}  {int(100 * plate['confidence'])}%  {plate['colour']}, {plate['layout']} line(s){doubt}"
