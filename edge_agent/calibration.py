"""Which sensors are under calibration: a file in the state folder, so that a restart forgets nothing.

`edge-agent calibrate` and the centre's commands write it; the running agent looks at it at every poll. A calibration
ends by itself, since one that somebody forgot to end would hide a sensor's values for ever. The file also keeps who
began and ended the last ones.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.clock import LOCAL
from edge_agent.contract.events import MAX_CALIBRATION_S, Calibrate, Calibration
from edge_agent.errors import EdgeError
from edge_agent.health import Health

FILE = "calibrations.json"
PART = "calibrations"
"""What a fault of the file is said of."""
KEPT = 100
"""Lines of the record that the file keeps."""
LOCK_S = 5.0
"""So long another process may hold the file: one that was stopped while it wrote must not stop the agent's commands."""

Mark = tuple[int, int, int]
"""Tells one version of a file from the next: inode, time and size."""


class CalibrationError(EdgeError):
    """A calibration that cannot be begun or ended, in Vietnamese and English; nothing was changed."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(f"{en} · {vi}")
        self.vi = vi
        self.en = en


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the record; times in milliseconds since 1970 in UTC."""

    at: int
    sensor: str
    action: Literal["start", "end"]
    by: str
    until: int | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    calibrating: tuple[Calibration, ...] = ()
    record: tuple[Line, ...] = ()


class Calibrations:
    """The sensors under calibration of one box. Several processes may use the file at once."""

    def __init__(self, state: Path, sensors: Collection[str], health: Health) -> None:
        """`health` is told where the file cannot be read."""
        self._file = state / FILE
        self._sensors = sensors
        self._health = health
        self._mark: Mark | None = None
        self._kept = Kept()

    def under_way(self, now: int) -> tuple[Calibration, ...]:
        """Calibrations that last at `now` (ms), oldest first; none where the file cannot be read."""
        self._look()
        # one that ends later than it may was begun before the clock was set back
        return tuple(c for c in self._kept.calibrating if now < c.until <= now + MAX_CALIBRATION_S * 1000)

    def covers(self, sensor: str, now: int) -> bool:
        """Tell whether a sensor is under calibration at `now` (ms)."""
        return any(calibration.sensor == sensor for calibration in self.under_way(now))

    @property
    def record(self) -> tuple[Line, ...]:
        """Who began and ended the last calibrations, oldest first."""
        self._look()
        return self._kept.record

    def obey(self, order: Calibrate, by: str, now: int) -> tuple[str, str]:
        """Begin, prolong or end; says what holds now, in Vietnamese and English. Raises CalibrationError."""
        sensor = order.sensor
        if order.seconds:
            until = local(self.start(sensor, order.seconds, by, now).until)
            return (
                f"{sensor}: đang hiệu chuẩn đến {until}; số liệu mang trạng thái 01",
                f"{sensor} is under calibration until {until}; its values have status 01",
            )
        if self.end(sensor, by, now):
            return f"{sensor}: đã kết thúc hiệu chuẩn", f"{sensor}: the calibration has ended"
        return f"{sensor}: không ở trạng thái hiệu chuẩn", f"{sensor} was not under calibration"

    def start(self, sensor: str, seconds: int, by: str, now: int) -> Calibration:
        """Begin a calibration, or let one last at least `seconds` from now. Raises CalibrationError."""
        self._check(sensor)
        if not 0 < seconds <= MAX_CALIBRATION_S:
            most = MAX_CALIBRATION_S // 3600
            raise CalibrationError(
                f"thời gian hiệu chuẩn phải từ 1 giây đến {most} giờ",
                f"a calibration lasts from 1 s to {most} h; begin it again if it takes longer",
            )
        with self._change(now) as calibrating:
            known = calibrating.get(sensor)
            since, until = (known.since, known.until) if known else (now, 0)
            begun = Calibration(sensor=sensor, since=since, until=max(until, now + seconds * 1000), by=by)
            calibrating[sensor] = begun
            self._write(calibrating, Line(at=now, sensor=sensor, action="start", by=by, until=begun.until))
        return begun

    def end(self, sensor: str, by: str, now: int) -> bool:
        """End a calibration; tells whether there was one. Raises CalibrationError."""
        self._check(sensor)
        with self._change(now) as calibrating:
            if calibrating.pop(sensor, None) is None:
                return False
            self._write(calibrating, Line(at=now, sensor=sensor, action="end", by=by))
        return True

    def _check(self, sensor: str) -> None:
        if sensor not in self._sensors:
            names = ", ".join(self._sensors) or "–"
            raise CalibrationError(
                f"trạm không có cảm biến {sensor[:40]!r}; các cảm biến: {names}",
                f"there is no sensor {sensor[:40]!r} here; the sensors are: {names}",
            )

    def _look(self) -> None:
        """Read the file if it has changed."""
        try:
            found = self._file.stat()
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if mark == self._mark:
                return
            self._mark, self._kept = mark, Kept()
            self._kept = msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except FileNotFoundError:
            self._mark, self._kept = None, Kept()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            cure = "begin calibrations anew with `edge-agent calibrate` · bắt đầu hiệu chuẩn lại"
            self._health.fault(PART, f"{self._file} cannot be read ({error}), so none is known; {cure}")
            return
        self._health.clear(PART)

    @contextmanager
    def _change(self, now: int) -> Iterator[dict[str, Calibration]]:
        """Hold the file against other processes; gives what lasts now, by sensor."""
        try:
            folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _lock(folder)
                yield {calibration.sensor: calibration for calibration in self.under_way(now)}
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise CalibrationError(
                f"không ghi được {self._file}: {error.strerror}; cần quyền của tác tử, đĩa còn chỗ, và tác tử đã chạy",
                f"cannot write {self._file}: {error.strerror}; it takes the agent's user, space on the disk,"
                " and that the agent has run",
            ) from error

    def _write(self, calibrating: dict[str, Calibration], line: Line) -> None:
        kept = Kept(calibrating=tuple(calibrating.values()), record=(*self._kept.record, line)[-KEPT:])
        draft = self._file.with_suffix(".new")
        # readable by all: a technician's command and the agent may be different users
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise


def _lock(folder: int) -> None:
    """Wait until no other process holds the folder. Raises OSError where one does for longer than `LOCK_S`."""
    until = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise OSError(errno.EBUSY, "another process holds it") from error
            time.sleep(0.01)
        else:
            return


def local(ms: int) -> str:
    """A time for people on the island."""
    return datetime.fromtimestamp(ms / 1000, LOCAL).strftime("%H:%M:%S %d.%m.%Y")
