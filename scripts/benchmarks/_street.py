"""Pictures and videos that nobody took: a plate on a wall, and the demo's clip as a camera of 1080p sends it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import cv2
import numpy as np

from edge_agent.camera.pictures import Image
from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import random_spec_of
from scripts.plate_evaluation.drawn_scenes import GROUNDS
from scripts.street_clip import render_clip

KINDS = ("car", "car_commercial", "motorbike_old", "motorbike_new")
PX_PER_MM = 1.2
"""Scale at which a plate is drawn before it is laid into a picture."""
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "20", "-b:v", "1600k", "-maxrate", "1600k",
        "-bufsize", "1600k", "-pix_fmt", "yuv420p")  # fmt: skip
"""As cameras do, without frames that look ahead; 20 KB a frame, which is 4 Mb/s at 25 frames/s."""
AT_ONCE = 0.001
"""Share of its length in which a video plays whose frames nobody has to wait for."""


def drawn_photo(size: tuple[int, int], plate_widths: tuple[int, int], random: Random) -> tuple[Image, str]:
    """A BGR picture of `size` (width, height) with one plate, as wide as chance has it (px), and the plate's text."""
    image = empty_photo(size, random)
    spec = random_spec_of(random.choice(KINDS), random)
    plate = draw_plate(spec, random, PX_PER_MM)
    width = random.randint(*plate_widths)
    height = width * plate.image.shape[0] // plate.image.shape[1]
    drawn, mask = (
        cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA) for whole in (plate.image, plate.mask)
    )
    left, top = random.randrange(size[0] - width), random.randrange(size[1] - height)
    place = image[top : top + height, left : left + width]
    place[mask > 127] = drawn[mask > 127]
    return noisy(cv2.GaussianBlur(image, (0, 0), 0.6), random), spec.text


def empty_photo(size: tuple[int, int], random: Random) -> Image:
    """A wall, a grille or leaves."""
    return np.asarray(cv2.resize(random.choice(GROUNDS)(random), size, interpolation=cv2.INTER_CUBIC), np.uint8)


def noisy(image: Image, random: Random) -> Image:
    """The same with a sensor's noise."""
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, 3, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def street_video(folder: Path, seconds: int) -> Path:
    """Write the demo's clip as a camera of 1080p would send it, H.264 in MP4. Raises OSError without ffmpeg."""
    clip, video = folder / "clip.mp4", folder / "street.mp4"
    render_clip(clip, seconds, 1)
    _ffmpeg("-i", str(clip), "-vf", "scale=1920:1080", *H264, str(video))
    return video


def at_once(video: Path) -> Path:
    """Write the same frames so that a player has to wait for none."""
    fast = video.with_stem(f"{video.stem}-at-once")
    _ffmpeg("-itsscale", str(AT_ONCE), "-i", str(video), "-c", "copy", "-video_track_timescale", "90000", str(fast))
    return fast


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)
