"""What a published OCR finds in the labelled photos: it tells how the known text lies, not what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2

from scripts.plate_training.examples import Piece, rows

SMALL = 300
"""Longest side in pixels of a photo that is doubled first: the OCR needs it."""


def look(folder: Path, kept: Path) -> Iterator[tuple[int, int]]:
    """Write the OCR's pieces of each photo as a line of JSON; give how many are done of how many. Goes on where it was.

    Raises ImportError without the package rapidocr-onnxruntime.
    """
    from rapidocr_onnxruntime import RapidOCR

    ocr = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    photos = [row["file"] for row in rows(folder) if row["kind"] != "crop"]
    done = set(pieces(kept)) if kept.exists() else set()
    with kept.open("a", encoding="utf-8") as file:
        for number, photo in enumerate(photos, 1):
            if photo not in done:
                image = cv2.imread(str(folder / photo))
                assert image is not None, photo
                scale = 2.0 if max(image.shape[:2]) < SMALL else 1.0
                if scale != 1.0:
                    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
                found, _ = ocr(image, use_cls=False)
                said = [
                    [[[x / scale, y / scale] for x, y in quad], text, float(sure)] for quad, text, sure in found or []
                ]
                file.write(json.dumps({"file": photo, "found": said}, ensure_ascii=False) + "\n")
            yield number, len(photos)


def pieces(kept: Path) -> dict[str, list[Piece]]:
    """Read what `look` wrote; a line cut off by an interruption is left out."""
    found: dict[str, list[Piece]] = {}
    for line in kept.read_text(encoding="utf-8").splitlines():
        try:
            photo = json.loads(line)
        except ValueError:
            continue
        found[photo["file"]] = photo["found"]
    return found
