"""What a camera box's files may say about its camera."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta


class MotionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a frame counts as moving; a frame that does not is never read, which saves nearly all the work at night."""

    levels: Annotated[
        int, Meta(ge=1, le=255, description="Grey levels by which a point must differ from before; more ignores noise")
    ] = 18
    share: Annotated[
        float, Meta(ge=0, le=1, description="Least share of points that must differ; 0 reads every frame")
    ] = 0.003
    hold_s: Annotated[
        float, Meta(ge=0, le=60, description="How long frames are still read after the last motion, in seconds")
    ] = 1.0


class PictureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The small picture that travels with a plate."""

    width: Annotated[int, Meta(ge=64, le=640, description="Most pixels across")] = 240
    quality: Annotated[int, Meta(ge=20, le=95, description="JPEG quality at the start; lowered where too large")] = 70
    max_kb: Annotated[int, Meta(ge=2, le=64, description="Most kilobytes")] = 12


class CameraSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera: where its frames come from, how they are read, what is sent."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            description="rtsp://user@host/path without the password, /dev/videoN, a video file or a folder of pictures",
        ),
    ]
    password_file: Annotated[
        str | None, Meta(description="File that holds the password of the RTSP camera; passwords never stand here")
    ] = None
    rendered: Annotated[bool, Meta(description="The source is a rendered clip, no street; every event says so")] = False
    loop: Annotated[bool, Meta(description="Play a video file or folder again and again")] = False
    frames_per_s: Annotated[
        float, Meta(gt=0, le=60, description="Most frames read in a second; a folder of pictures plays at this rate")
    ] = 5.0
    open_timeout_s: Annotated[float, Meta(ge=0.5, le=60, description="Longest wait for the camera to answer")] = 5.0
    read_timeout_s: Annotated[float, Meta(ge=0.5, le=60, description="Longest wait for the next frame")] = 5.0
    reopen_s: Annotated[float, Meta(ge=0.1, le=600, description="Wait before a lost camera is opened anew")] = 5.0
    motion: MotionSettings = MotionSettings()
    picture: PictureSettings = PictureSettings()
    least_confidence: Annotated[
        float, Meta(ge=0, le=1, description="Plates that were read with less are counted, not sent")
    ] = 0.5
    gone_s: Annotated[
        float, Meta(ge=0.5, le=600, description="A plate that frames have missed for so long has passed, in seconds")
    ] = 3.0
    threads: Annotated[int, Meta(ge=1, le=16, description="Processor cores that the plate reader may use")] = 1

    def __post_init__(self) -> None:
        if self.source.startswith(("rtsp://", "rtsps://")):
            parts = urlsplit(self.source)
            if parts.password is not None:
                raise ValueError("source holds a password: write it to a file that only the agent may read, "
                                 "name that in password_file, and leave rtsp://user@host/path here")  # fmt: skip
            if not parts.hostname:
                raise ValueError("source names no host: expected rtsp://user@host:554/path")
            if self.password_file is not None and not parts.username:
                raise ValueError("password_file is set but source names no user: expected rtsp://user@host/path")
        elif "://" in self.source:
            scheme = self.source.partition("://")[0]
            raise ValueError(
                f"source begins with {scheme}://; expected rtsp://, rtsps://, /dev/videoN, a file or folder"
            )
        elif self.password_file is not None:
            raise ValueError("password_file is only for an rtsp:// source")
