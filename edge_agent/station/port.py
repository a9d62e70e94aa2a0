"""Lines: carry conversations over a serial port or a TCP connection, with limits on every wait.

A line is opened when it is first needed, kept open, closed when the wire fails, and opened anew at the next poll.
Several conversations may go on at once: the line belongs to one of them for an exchange (a question and its answer),
and whoever waits longest has it next. So a sensor that warms up keeps nobody waiting, and a dead one only for its time
limit. No threads: the event loop waits for the descriptor, and cancelling the task leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import termios
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

import msgspec
import serial

from edge_agent.errors import EdgeError, FrameError, LineError, Silence
from edge_agent.station.conversation import Ask, Pause, take
from edge_agent.station.sensor import LineKind
from edge_agent.station.settings import Line, SerialLine, TcpLine

T = TypeVar("T")
Trace = Callable[[Literal[">", "<"], bytes], None]
"""Is told what was sent (`>`) and what came (`<`)."""

CHUNK = 4096
MAX_STALE = 64 * 1024
"""More than this is not drained before a request: a line that babbles faster than it is read."""


class _Wire:
    """An open descriptor, not blocking; every failure is a LineError."""

    def __init__(self, fd: int, close: Callable[[], None]) -> None:
        self._fd = fd
        self.close = close

    async def read(self) -> bytes:
        """Wait for bytes and give them, never none."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._fd, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._fd)
        data = self._read()
        if not data:
            raise LineError("closed from the other side; is it plugged in? · chưa cắm dây?")
        return data

    def drain(self) -> None:
        """Drop what waits; it belongs to no question that is asked now."""
        for _ in range(MAX_STALE // CHUNK):
            if not self._read():
                return

    def write(self, data: bytes) -> None:
        """Send a request; requests are far smaller than the system's buffer."""
        try:
            sent = os.write(self._fd, data) if data else 0
        except BlockingIOError:
            sent = -1
        except OSError as error:
            raise LineError(f"cannot send: {error.strerror}") from error
        if sent != len(data):
            raise LineError("takes no bytes: nobody reads at the other end")

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LineError(f"cannot receive: {error.strerror}") from error


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _open_serial(line: SerialLine) -> _Wire:
    virtual = os.path.realpath(line.port).startswith("/dev/pts/")  # has no parity, and refuses to be asked for it twice
    try:
        port = serial.Serial(
            line.port,
            baudrate=line.baud,
            bytesize=int(line.format[0]),
            parity="N" if virtual else line.format[1],
            stopbits=int(line.format[2]),
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:
        raise LineError(f"cannot open {line.port}: {_why_not_open(error)}") from error
    return _Wire(port.fileno(), port.close)


def _reason(error: OSError) -> str:
    """The system's reason alone: libraries put file, address and number into their texts, some twice."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _why_not_open(error: Exception) -> str:
    """The system's reason and what to do."""
    if not isinstance(error, OSError) or error.errno is None:
        return f"{error}; is it a serial port? · có phải cổng nối tiếp không?"
    if error.errno in (errno.EACCES, errno.EPERM):
        cure = "may the agent's user use it? Add the user to the group dialout · thiếu quyền đọc cổng"
    elif error.errno in (errno.EAGAIN, errno.EBUSY):
        cure = "does another program use it? · chương trình khác đang dùng?"
    else:
        cure = "is it plugged in? · chưa cắm dây?"
    return f"{_reason(error)}; {cure}"


async def _open_tcp(line: TcpLine) -> _Wire:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(line.timeout_s):
            await asyncio.get_running_loop().sock_connect(connection, (line.host, line.port))
    except TimeoutError as error:
        connection.close()
        raise LineError(
            f"cannot connect to {line.host}:{line.port} within {line.timeout_s:g} s; is it on? · đã bật nguồn chưa?"
        ) from error
    except OSError as error:
        connection.close()
        raise LineError(
            f"cannot connect to {line.host}:{line.port}: {_reason(error)}; is it on? · đã bật nguồn chưa?"
        ) from error
    except BaseException:
        connection.close()
        raise
    return _Wire(connection.fileno(), connection.close)


class Port:
    """One line of a station. Use it in `async with`; it opens by itself."""

    def __init__(
        self, line: Line, *, noise: Callable[[int], None] = lambda _: None, trace: Trace = lambda _, __: None
    ) -> None:
        """`noise` is told how many bytes came that belonged to no frame."""
        self._line = line
        self._noise = noise
        self._trace = trace
        self._wire: _Wire | None = None
        self._turn = asyncio.Lock()  # gives turns in the order in which they were asked for

    @property
    def kind(self) -> LineKind:
        """What a driver must know of the line."""
        return "serial" if isinstance(self._line, SerialLine) else "tcp"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def converse(self, conversation: Generator[Ask | Pause, bytes, T], timeout_s: float | None = None) -> T:
        """Carry a conversation to its end and give its result, such as the Answer of a poll.

        Each question has `timeout_s` (else the line's limit) to be answered completely, from when the line is ours.
        Raises Silence where nothing came, FrameError where nothing understandable came, any other LineError where the
        wire failed; the line is then closed and opened anew when it is next needed.
        """
        limit = timeout_s or self._line.timeout_s
        try:
            step = _resume(conversation, None)
            while not isinstance(step, _Ended):
                if isinstance(step, Ask):
                    step = await self._exchange(conversation, step, limit)
                else:
                    await self._pause(step, limit)
                    step = _resume(conversation, b"")
            return step.result
        finally:
            conversation.close()

    async def _exchange(
        self, conversation: Generator[Ask | Pause, bytes, T], question: Ask, timeout_s: float
    ) -> Ask | Pause | _Ended[T]:
        """Ask, hand over what comes, and keep the line while the conversation only listens on; gives its next step."""
        buffer = bytearray()
        async with self._own_turn() as wire:
            while True:
                try:
                    heard: bytes | EdgeError = await self._ask(wire, question, buffer, timeout_s)
                except (Silence, FrameError) as error:
                    heard = error
                step = _resume(conversation, heard)
                if not isinstance(step, Ask) or step.send:
                    return step
                question = step

    async def _pause(self, pause: Pause, timeout_s: float) -> None:
        """Wait; others have the line meanwhile."""
        held = min(pause.seconds, timeout_s) if pause.send else 0.0
        if pause.send:
            async with self._own_turn() as wire:
                self._write(wire, pause.send)
                await asyncio.sleep(held)  # it may answer though nobody waits for it, and must not talk into others
        await asyncio.sleep(pause.seconds - held)

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[_Wire]:
        """The line when it is our turn: open, quiet, and with nothing left on it that was meant for others."""
        async with self._turn:
            try:
                if isinstance(self._line, SerialLine):
                    self._wire = self._wire or _open_serial(self._line)
                    await asyncio.sleep(self._line.quiet_s)
                else:
                    self._wire = self._wire or await _open_tcp(self._line)
                self._wire.drain()
                yield self._wire
            except (LineError, FrameError) as error:
                # a late answer on TCP would meet the next question; a serial line is drained and may serve others
                if isinstance(self._line, TcpLine) or not isinstance(error, Silence | FrameError):
                    self._close()
                raise

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _write(self, wire: _Wire, data: bytes) -> None:
        if data:
            wire.write(data)
            self._trace(">", data)

    async def _ask(self, wire: _Wire, question: Ask, buffer: bytearray, timeout_s: float) -> bytes:
        timeout_s += question.wait_s
        self._write(wire, question.send)
        received = len(buffer)
        dropped, frame = take(buffer, question.find)
        try:
            async with asyncio.timeout(timeout_s):
                while frame is None:
                    data = await wire.read()
                    self._trace("<", data)
                    received += len(data)
                    buffer += data
                    more, frame = take(buffer, question.find)
                    dropped += more
        except TimeoutError:
            if not received:
                raise Silence(
                    f"no answer within {timeout_s:g} s; check power, cable, address"
                    " · không trả lời; kiểm tra nguồn, dây, địa chỉ"
                ) from None
            self._noise(dropped + len(buffer))
            rest = f", the last: {bytes(buffer[-32:]).hex(' ')}" if buffer else ""
            raise FrameError(f"{received} bytes and no sound frame{rest}") from None
        if dropped > question.slack:
            self._noise(dropped)
        return frame


class _Ended(msgspec.Struct, Generic[T], frozen=True):
    """The end of a conversation."""

    result: T


def _resume(conversation: Generator[Ask | Pause, bytes, T], heard: bytes | EdgeError | None) -> Ask | Pause | _Ended[T]:
    """Hand over what was heard; a coroutine cannot pass StopIteration on, so the end is a value."""
    try:
        if heard is None:
            return next(conversation)
        return conversation.throw(heard) if isinstance(heard, EdgeError) else conversation.send(heard)
    except StopIteration as end:
        return _Ended(end.value)
