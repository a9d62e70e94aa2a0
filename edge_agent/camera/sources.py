"""Where frames come from: a live camera, a video file, a folder of pictures; each a blocking iterator for a thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import cv2
import numpy as np

from edge_agent.camera.pictures import SUFFIXES, Image, load_picture, oversize
from edge_agent.camera.settings import CameraSettings
from edge_agent.contract.secret_file import SecretFileError, read_secret
from edge_agent.errors import FrameError, LineError

# What goes wrong is said once by the fault, not for each packet by a library that knows no log file.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: a damaged packet is "fatal" too

RTSP_OPTIONS = "rtsp_transport;tcp|analyzeduration;0|probesize;32|fflags;nobuffer|flags;low_delay"
"""Opens in 0.1 s instead of 1 to 5 and without old frames. For RTSP only: most files give no frame with it."""
ONE_THREAD = [cv2.CAP_PROP_N_THREADS, 1]
"""Each more holds a frame back."""
MOST_DAMAGED = 1000
"""Packets of a file that may fail one after the other, half a minute of video, before that counts as its end."""


class CameraError(LineError):
    """The source gives no frames; the text says why and what to do, and holds no password."""


class Shot(NamedTuple):
    """One frame that has come and is made an image only where somebody wants it."""

    position_s: float | None
    """Seconds from the start of the file or folder; None where live."""
    image: Callable[[], Image]
    """Only until the next shot is asked for; raises FrameError where this one frame is damaged."""


def is_live(source: str) -> bool:
    """Tell whether frames come by themselves, as from a camera."""
    return source.startswith(("rtsp://", "rtsps://", "/dev/"))


def shots(settings: CameraSettings) -> Generator[Shot, None, None]:
    """Open the source and give its shots until its end, live ones as they come, others without any pace.

    Close the iterator to close the source. Raises CameraError where nothing opens or a live source falls silent.
    """
    if is_live(settings.source):
        return live(settings)
    return recorded(Path(settings.source), settings.frames_per_s)


def recorded(path: Path, pictures_per_s: float) -> Generator[Shot, None, None]:
    """The frames of a video file or, by name, the pictures of a folder; one that is cut short just ends earlier."""
    try:
        if path.is_dir():
            return folder(path, pictures_per_s)
        if path.is_file():
            return video(path)
    except OSError as error:  # no right to look, a name too long
        raise CameraError(f"{path}: cannot be read: {error.strerror} · không đọc được") from error
    raise CameraError(f"{path}: no such file or folder, check the name · không có tệp hay thư mục này")


def live(settings: CameraSettings) -> Generator[Shot, None, None]:
    """Shots of an RTSP or V4L2 camera; ends only by CameraError, after `read_timeout_s` without a frame."""
    capture = _open_live(settings)
    try:
        while True:
            asked = time.monotonic()
            good = capture.grab()
            # After a time-out OpenCV hands out what it still had as if it were new: the time taken tells.
            if time.monotonic() - asked >= settings.read_timeout_s:
                limit = f"{settings.read_timeout_s:g} s"
                raise CameraError(f"{settings.source}: no frame for {limit}; is the network up? · còn mạng không?")
            if not good:
                raise CameraError(f"{settings.source}: the stream ended; did the camera restart? · luồng hình bị ngắt")
            yield Shot(None, partial(_retrieve, capture, settings.source))
    finally:
        capture.release()


def video(path: Path) -> Generator[Shot, None, None]:
    """Frames of a video file with their positions; damaged ones are passed over."""
    capture = _open_video(path)
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        step = 1 / rate if 0 < rate <= 240 else 1 / 25
        position, damaged = -step, 0
        while damaged < MOST_DAMAGED:
            if not capture.grab():  # at a damaged packet as well as at the end: nothing tells them apart
                damaged += 1
                continue
            damaged = 0
            told = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            position = told if told > position else position + step  # bare streams tell no times
            yield Shot(position, partial(_retrieve, capture, str(path)))
        if position < 0:
            raise CameraError(f"{path}: holds no frame that can be read; is it a whole video? · tệp video hỏng")
    finally:
        capture.release()


def folder(path: Path, pictures_per_s: float) -> Generator[Shot, None, None]:
    """Pictures of a folder in the order of their names."""
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror} · không đọc được thư mục") from error
    if not files:
        raise CameraError(f"{path}: no picture ({', '.join(sorted(SUFFIXES))}) in this folder · thư mục không có ảnh")
    for number, file in enumerate(files):
        yield Shot(number / pictures_per_s, partial(load_picture, file))


def _open_video(path: Path) -> Any:
    name = str(path.resolve())
    try:
        name.encode()
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise CameraError(f"{path}: the name is not UTF-8, rename the file · hãy đổi tên tệp") from error
    with _ffmpeg_options(None):
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, ONE_THREAD)
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if wrong := oversize(round(width), round(height)):
        capture.release()
        raise CameraError(f"{path}: {wrong}")
    return capture


def _open_live(settings: CameraSettings) -> Any:
    open_ms, read_ms = (round(seconds * 1000) for seconds in (settings.open_timeout_s, settings.read_timeout_s))
    if settings.source.startswith("/dev/"):
        # V4L2 takes no limits as parameters, and would open nothing with them; whole seconds, read at the first frame
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(max(1, read_ms // 1000))
        os.environ["OPENCV_VIDEOIO_V4L_READ_ATTEMPTS"] = "1"
        capture = cv2.VideoCapture(settings.source, cv2.CAP_V4L2)
    else:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms]
        with _ffmpeg_options(RTSP_OPTIONS):
            capture = cv2.VideoCapture(_address(settings), cv2.CAP_FFMPEG, [*limits, *ONE_THREAD])
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"{settings.source}: did not open (limit {settings.open_timeout_s:g} s); is the camera on, are address and "
            "password right? · camera đã bật chưa, địa chỉ và mật khẩu đúng chưa?"
        )
    return capture


def _address(settings: CameraSettings) -> str:
    """The source with its password, which stands in no file of ours and no log; read anew at each opening."""
    if settings.password_file is None:
        return settings.source
    try:
        password = read_secret(settings.password_file)
    except SecretFileError as error:
        raise CameraError(
            f"password_file: {error}; put the camera's password into it · ghi mật khẩu camera vào tệp này"
        ) from error
    parts = urlsplit(settings.source)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


@contextmanager
def _ffmpeg_options(options: str | None) -> Iterator[None]:
    """OpenCV looks for these in the environment, and only while it opens."""
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    before = os.environ.pop(name, None)
    if options is not None:
        os.environ[name] = options
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def _retrieve(capture: Any, source: str) -> Image:
    good, image = capture.retrieve()
    if not good:
        raise FrameError(f"{source}: a damaged frame")
    return np.asarray(image, np.uint8)
