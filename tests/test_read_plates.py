"""`edge-agent read-plates`: what it prints of photos and videos, of hostile files, of real streets."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_plates import Image, plate, put, street, upright

from edge_agent.__main__ import main

PHOTOS = Path(os.environ.get("PLATE_PHOTOS", Path(__file__).parents[2] / "shared" / "plates"))
SAMPLE = 20
LEAST_EXACT = 0.45
"""Of the sample; the whole set gives 0.63."""


def car(x: float = 120) -> Image:
    drawn = plate("68A-123.45")
    return put(street(320, 240), drawn, upright(x, 150, 120, drawn))


def photo(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def said(capsys: pytest.CaptureFixture[str], *files: Path) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; give its status, JSON lines and complaints."""
    capsys.readouterr()
    status = main(["read-plates", *map(str, files), "--json"])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def is_plate(found: dict[str, Any], size: tuple[int, int]) -> None:
    """Check a plate against what the command promises."""
    assert set(found) == {"text", "raw", "confidence", "quad", "layout", "colour", "valid"}
    assert re.fullmatch("[A-Z0-9Đ]+", found["text"])
    assert re.fullmatch("[A-Z0-9Đ]+", found["raw"])
    assert found["text"] == found["raw"] or found["valid"]
    assert 0 <= found["confidence"] <= 1
    assert [len(corner) for corner in found["quad"]] == [2] * 4
    width, height = size
    middle = np.mean(found["quad"], axis=0)
    assert 0 <= middle[0] <= width
    assert 0 <= middle[1] <= height
    assert found["layout"] in ("one", "two")
    assert found["colour"] in ("white", "yellow", "blue", "red", "unknown")
    assert isinstance(found["valid"], bool)


def test_one_line_a_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [photo(tmp_path / "car.jpg", car()), photo(tmp_path / "phố rỗng.png", street(320, 240))]
    status, lines, err = said(capsys, *files)
    assert (status, err) == (0, "")
    assert [line["file"] for line in lines] == [str(file) for file in files]
    assert all(set(line) == {"file", "ms", "plates"} and line["ms"] > 0 for line in lines)
    (found,) = lines[0]["plates"]
    is_plate(found, (320, 240))
    assert (found["text"], found["layout"], found["colour"], found["valid"]) == ("68A12345", "one", "white", True)
    assert lines[1]["plates"] == []


def test_for_people_a_guess_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = plate("42A-345.67")  # no province has 42
    files = [
        photo(tmp_path / "car.jpg", car()),
        photo(tmp_path / "empty.jpg", street(320, 240)),
        photo(tmp_path / "strange.png", put(street(320, 240), strange, upright(100, 150, 120, strange))),
    ]
    assert main(["read-plates", *map(str, files)]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert re.search(r"car\.jpg  68A12345  \d+%  white, one line\(s\)$", first)
    assert second.endswith("empty.jpg  no plate")
    assert "(not a plate that the rules know)" in third


def test_the_command_itself_prints_nothing_but_json(tmp_path: Path) -> None:
    files = [photo(tmp_path / "car.jpg", car()), tmp_path / "missing.jpg"]
    command = [sys.executable, "-m", "edge_agent", "read-plates", *map(str, files), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(files[0])]
    assert done.stderr.count("missing.jpg") == 1
    assert "Traceback" not in done.stderr


def test_names_that_are_no_text_are_printed_escaped(tmp_path: Path) -> None:
    names = [os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"caf\xe9.avi"), "phố.jpg"]
    for name in names:
        photo(tmp_path / "car.jpg", car()).rename(tmp_path / name)
    command = [sys.executable, "-m", "edge_agent", "read-plates", *(str(tmp_path / name) for name in names), "--json"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120, env=strict)
    assert done.returncode == 1
    assert [Path(json.loads(line)["file"]).name for line in done.stdout.splitlines()] == [names[0], names[2]]
    assert done.stderr.count("caf\\udce9.avi: the name is not UTF-8") == 1


# Videos.


def video(path: Path, frames: Sequence[Image], rate: int = 5) -> Path:
    height, width = frames[0].shape[:2]
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


PASS = [street(320, 240)] * 2 + [car(60 + 20 * n) for n in range(6)] + [street(320, 240)] * 2


def test_one_line_a_pass_of_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = video(tmp_path / "street.avi", PASS)
    status, lines, err = said(capsys, file)
    assert (status, err) == (0, "")
    (found,) = lines
    assert (found.pop("file"), found.pop("frames")) == (str(file), 6)
    assert (found.pop("first_s"), found.pop("last_s")) == (pytest.approx(0.4, abs=0.1), pytest.approx(1.4, abs=0.1))
    is_plate(found, (320, 240))
    assert found["text"] == "68A12345"


def test_a_video_cut_in_the_middle_gives_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = video(tmp_path / "street.avi", PASS)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 6 // 10])
    status, lines, _ = said(capsys, file)
    assert (status, [line["text"] for line in lines]) == (0, ["68A12345"])
    assert lines[0]["frames"] < 6


def test_a_video_with_a_damaged_middle_gives_no_other_plate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = video(tmp_path / "street.avi", PASS)
    broken = bytearray(file.read_bytes())
    middle = range(len(broken) * 4 // 10, len(broken) * 6 // 10)
    broken[middle.start : middle.stop] = np.random.default_rng(1).bytes(len(middle))
    file.write_bytes(broken)
    status, lines, err = said(capsys, file)
    assert (status, err, [line["text"] for line in lines]) == (0, "", ["68A12345"])
    assert 2 < lines[0]["frames"] < 6  # those before and behind


@pytest.mark.parametrize("kind", ["mp4 without its index", "nothing but a head", "empty", "noise"])
def test_a_video_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    file = video(tmp_path / "street.mp4", PASS)
    whole = file.read_bytes()
    file.write_bytes(
        {
            "mp4 without its index": whole[: len(whole) // 2],  # it stands at the end
            "nothing but a head": whole[:40],
            "empty": b"",
            "noise": np.random.default_rng(1).bytes(5000),
        }[kind]
    )
    good = photo(tmp_path / "car.jpg", car())
    status, lines, err = said(capsys, file, good)
    assert status == 1
    assert str(file) in err
    assert [line["file"] for line in lines] == [str(good)]  # the next file is read all the same


# Photos that nobody vouches for.


def test_pictures_of_every_depth_and_make_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = car()
    files = [
        photo(tmp_path / "grey.png", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),
        photo(tmp_path / "alpha.png", cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)),
        photo(tmp_path / "deep.png", image.astype(np.uint16) * 257),
        photo(tmp_path / "photo.webp", image),
        photo(tmp_path / "photo.bmp", image),
        turned(tmp_path / "turned.jpg", image),
    ]
    status, lines, err = said(capsys, *files)
    assert (status, err) == (0, "")
    assert {Path(line["file"]).name: [found["text"] for found in line["plates"]] for line in lines} == {
        file.name: ["68A12345"] for file in files
    }


def turned(path: Path, image: Image) -> Path:
    """A picture that lies on its side in the file; EXIF says so, as telephones write it."""
    good, packed = cv2.imencode(".jpg", cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE))
    assert good
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    data = bytes(packed)
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    return path


def test_pictures_of_hardly_any_pixels_hold_no_plate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = [(1, 3), (3, 1), (1, 1), (8, 8), (1, 2000)]
    files = [photo(tmp_path / f"{n}.png", np.full((*shape, 3), 90, np.uint8)) for n, shape in enumerate(shapes)]
    status, lines, err = said(capsys, *files)
    assert (status, err) == (0, "")
    assert [line["plates"] for line in lines] == [[]] * len(files)


def test_files_that_are_no_pictures_are_named_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = photo(tmp_path / "whole.jpg", car()).read_bytes()
    hostile = {
        "empty.jpg": b"",
        "head.jpg": whole[:20],
        "text.png": b"this is no picture\n" * 50,
        "noise.webp": np.random.default_rng(2).bytes(3000),
        "huge.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + bytes(40),
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
    files = [*(tmp_path / name for name in hostile), tmp_path, tmp_path / "missing.jpg"]
    status, lines, err = said(capsys, *files, tmp_path / "whole.jpg")
    assert status == 1
    complaints = err.splitlines()
    assert len(complaints) == len(files)
    for file, complaint in zip(files, complaints, strict=True):
        assert complaint.startswith(str(file))
    assert [[found["text"] for found in line["plates"]] for line in lines] == [["68A12345"]]


def test_a_photo_cut_short_is_refused_or_gives_no_other_plate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts = []
    for suffix in (".jpg", ".png", ".webp"):
        whole = photo(tmp_path / f"whole{suffix}", car()).read_bytes()
        for tenths in (3, 6, 9):
            cuts.append(tmp_path / f"cut{tenths}{suffix}")
            cuts[-1].write_bytes(whole[: len(whole) * tenths // 10])
    status, lines, err = said(capsys, *cuts)
    refused = [str(cut) for cut in cuts if str(cut) in err]
    assert status == bool(refused)
    assert sorted([line["file"] for line in lines] + refused) == sorted(map(str, cuts))
    assert {found["text"] for line in lines for found in line["plates"] if found["valid"]} <= {"68A12345"}


# Real streets.


def named(count: int) -> dict[str, str]:
    """Photos of known plates spread over those that are kept for checking, and their texts."""
    labels = PHOTOS / "labels.csv"
    if not labels.is_file():
        pytest.skip(f"no labelled photos in {PHOTOS}; name their folder in PLATE_PHOTOS")
    with labels.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "check" and row["file"].startswith("street/")]
    return {row["file"]: row["text"] for row in rows[:: len(rows) // count][:count]}


def test_real_photos(capsys: pytest.CaptureFixture[str]) -> None:
    truth = named(SAMPLE)
    status, lines, _ = said(capsys, *(PHOTOS / file for file in truth))
    assert status == 0
    assert len(lines) == SAMPLE
    exact, sure_and_wrong = 0, []
    for line, text in zip(lines, truth.values(), strict=True):
        valid = [found for found in line["plates"] if found["valid"]]
        exact += any(found["text"] == text for found in valid)
        sure_and_wrong += [found["text"] for found in valid if found["text"] != text and found["confidence"] > 0.9]
        for found in line["plates"]:
            is_plate(found, (460, 350))
    assert exact >= LEAST_EXACT * SAMPLE
    assert len(sure_and_wrong) <= 2  # photos show other vehicles too
