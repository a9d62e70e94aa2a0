"""Modbus frames, RTU and TCP, through pymodbus's framers: registers and bits are read, registers are written. No I/O.

RTU, on serial lines; nothing marks where a frame begins:

    request    address  function  first register u16  count u16  CRC-16 low byte first
    answer     address  function  bytes u8            registers  CRC
    refusal    address  function + 80                 code u8    CRC

TCP: no CRC, and seven bytes before the function:

    transaction u16   00 00   bytes that follow u16   unit (address)

We know which slave, function and length we wait for, so an answer is hunted by these three and then believed only if
its CRC is right: noise before it, other slaves' answers, the echo of some RS-485 adapters and what another master says
to others are passed over. If another master asks our slave for as many registers as we do, nobody can tell whose answer
comes next: then none is believed. Nor does an answer say which register it is about: after a question that stayed
without one, nothing is asked on a serial line until a late answer has gone by.

An adapter that echoes hides a refusal of function 6, whose answer is the same as the request; function 16 has none of
that.

Drivers talk through a `Slave`:  `words = yield from slave.read(128, 32)`.

Source: MODBUS Application Protocol V1.1b3, Messaging on TCP/IP V1.0b; vectors in tests/golden/wire/modbus.txt.

Importing this module costs 1.2 MB of memory (pymodbus loads its data store along with its framers): drivers do it when
their first poll begins.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable, Iterator, Sequence

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Pause
from edge_agent.station.registers import BITS, Block, named
from edge_agent.station.sensor import LineKind

_rtu = FramerRTU(DecodePDU(False))
_tcp = FramerSocket(DecodePDU(False))

MAX_TCP_LENGTH = 254
"""The largest length field of Modbus TCP."""
LATE_S = 1.0
"""So much later than the time limit an answer may still come; others have the line meanwhile."""
MAX_SILENT = 2
"""So many questions may stay without an answer before a slave is asked no more in this poll."""

ITSELF = {0, 255}
"""Addresses by which a device on TCP means itself."""

REGISTERS = (3, 4)
WRITE_ONE, WRITE_SEVERAL = 6, 16

REFUSALS = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not accept the count",
    4: "it is broken",
    5: "it needs more time",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no path to it",
    11: "the gateway hears nothing from it",
}


class RefusedError(FrameError):
    """The slave answered that it will not do what it was asked for."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"refuses {what}: code {code}, {REFUSALS.get(code, 'not in the standard')}")
        self.code = code


class Request:
    """One request and what is to be done with its answer: `count` registers are read, or `values` are written."""

    def __init__(
        self, *, tcp: bool, slave: int, function: int, address: int, count: int, transaction: int,
        values: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self.tcp, self.slave, self.function, self.count = tcp, slave, function, count
        self.transaction = transaction if tcp else 0
        self._what = f"function {function}, {named(address, count)}"
        registers = b"".join(value.to_bytes(2, "big") for value in values)
        if function == WRITE_ONE:
            body = address.to_bytes(2, "big") + registers
            self._head = bytes((slave, function)) + body
        elif function == WRITE_SEVERAL:
            self._head = bytes((slave, function)) + struct.pack(">HH", address, count)
            body = struct.pack(">HHB", address, count, len(registers)) + registers
        else:
            data = (count + 7) // 8 if function in BITS else 2 * count
            self._head = bytes((slave, function, data))
            body = struct.pack(">HH", address, count)
        reads = function in BITS + REGISTERS
        self._size = 5 + self._head[2] if reads else 8
        self._refused = (function | 0x80, 0x80)  # 80 without a function: of what pymodbus's server cannot decode
        self._foreign = bytes((slave, function)) if reads else b""
        pdu = bytes((function,)) + body
        self.sent: bytes = (_tcp if tcp else _rtu).encode(pdu, slave, self.transaction)

    def ask(self) -> Ask:
        """What a conversation yields."""
        return Ask(send=self.sent, find=self.find_tcp if self.tcp else self.find_rtu)

    def find_rtu(self, buffer: bytes) -> tuple[int, bytes | None]:
        """Find the answer or refusal among RTU bytes; see `conversation.py`.

        Raises FrameError where another master asks the same slave for as much, so that its answer would look like ours.
        """
        undecided = len(buffer)
        for start in range(len(buffer)):
            for size in self._sizes(buffer[start : start + len(self._head)]):
                frame = buffer[start : start + size]
                if len(frame) < size:  # a later start may still be the real one
                    undecided = min(undecided, start)
                elif _sound(frame):
                    if not self._is_request(frame):
                        return start + size, frame
                    if frame != self.sent and frame[4:6] == self.sent[4:6]:
                        raise FrameError(f"another master asks address {self.slave} too: {frame.hex(' ')}")
        return undecided, None

    def _is_request(self, frame: bytes) -> bool:
        answers = len(frame) == self._size and frame.startswith(self._head)
        return bool(self._foreign) and len(frame) == len(self.sent) and frame[1] == self.function and not answers

    def _sizes(self, head: bytes) -> Iterator[int]:
        """Sizes of the frames that may begin so: the answer, a refusal, another master's request."""
        if self._head.startswith(head):
            yield self._size
        if any(bytes((self.slave, refused)).startswith(head[:2]) for refused in self._refused):
            yield 5
        if self._foreign and self._foreign.startswith(head[:2]):
            yield len(self.sent)

    def find_tcp(self, buffer: bytes) -> tuple[int, bytes | None]:
        """Find the answer or refusal among TCP bytes; FrameError where the stream cannot be understood any more."""
        if len(buffer) < 6:
            return 0, None
        if buffer[2:4] != b"\0\0" or not 3 <= int.from_bytes(buffer[4:6], "big") <= MAX_TCP_LENGTH:
            raise FrameError(f"not Modbus TCP: {buffer[:8].hex(' ')}; does the gateway only pass RTU on?")
        size = 6 + int.from_bytes(buffer[4:6], "big")
        if len(buffer) < size:
            return 0, None
        used, slave, transaction, pdu = _tcp.decode(buffer[:size])
        if used != size or transaction != self.transaction:
            return size, None
        if slave != self.slave:  # another sensor's behind the same gateway, unless one of the two is the gateway's own
            if ITSELF & {slave, self.slave}:
                raise FrameError(f"asked as address {self.slave}, it answers as {slave}; is that its address?")
            return size, None
        if pdu[0] not in (self.function, *self._refused):
            return size, None
        return size, buffer[:size]

    def registers(self, frame: bytes) -> list[int]:
        """What an answer that `find` gave holds: registers, or one 0 or 1 for each bit; nothing after a write.

        Raises RefusedError for a refusal, FrameError for anything else than was asked for.
        """
        pdu = frame[7:] if self.tcp else frame[1:-2]
        if pdu[0] & 0x80:
            raise RefusedError(self._what, pdu[1])
        if pdu[: len(self._head) - 1] != self._head[1:] or len(pdu) != self._size - 3:
            raise FrameError(f"{self._what}: asked for {self.count} registers, got {pdu.hex(' ')}")
        if self.function in BITS:
            return [pdu[2 + i // 8] >> i % 8 & 1 for i in range(self.count)]
        if self.function in REGISTERS:
            return list(struct.unpack(f">{self.count}H", pdu[2:]))
        return []


class Slave:
    """One slave in a conversation, on a line of either kind."""

    def __init__(self, kind: LineKind, address: int) -> None:
        self._tcp, self._address = kind == "tcp", address
        self._asked = 0
        self._owes = False  # an answer that may still come

    def read(self, address: int, count: int, function: int = 3) -> Generator[Ask | Pause, bytes, list[int]]:
        """Read registers (functions 3 and 4) or bits (1 and 2). Raises RefusedError."""
        return (yield from self._exchange(function, address, count, ()))

    def write(
        self, address: int, values: Sequence[int], function: int = WRITE_SEVERAL
    ) -> Generator[Ask | Pause, bytes, None]:
        """Write registers: several (function 16) or one (6). Raises RefusedError."""
        yield from self._exchange(function, address, len(values), values)

    def order(self, address: int, values: Sequence[int]) -> Generator[Ask | Pause, bytes, str]:
        """Write what the slave may refuse to do; gives what is to be said then, else nothing."""
        try:
            yield from self.write(address, values)
        except RefusedError as refusal:
            return str(refusal)
        return ""

    def read_all(
        self, blocks: Iterable[Block]
    ) -> Generator[Ask | Pause, bytes, list[list[int] | FrameError | Silence]]:
        """Read several blocks; those that are refused, or stay without an answer, come as the error that says so.

        Raises Silence where nothing answered at all.
        """
        found: list[list[int] | FrameError | Silence] = []
        silent: list[Silence] = []
        for block in blocks:
            if len(silent) == MAX_SILENT:
                found.append(Silence(f"was not asked for {block} any more"))
                continue
            try:
                found.append((yield from self.read(block.address, block.count, block.function)))
            except RefusedError as refusal:
                found.append(refusal)
            except Silence as silence:
                silent.append(silence)
                found.append(Silence(f"does not answer to {block}"))
                if len(silent) == len(found) == MAX_SILENT:
                    raise
        if silent and len(silent) == len(found):
            raise silent[0]
        return found

    def say(self, block: Block, seconds: float) -> Pause:
        """Ask for registers for the sake of asking, as to wake it: whatever it answers in `seconds` is dropped."""
        return Pause(send=self._request(block.function, block.address, block.count, ()).sent, seconds=seconds)

    def _exchange(
        self, function: int, address: int, count: int, values: Sequence[int]
    ) -> Generator[Ask | Pause, bytes, list[int]]:
        if self._owes:
            yield Pause(seconds=LATE_S)
        request = self._request(function, address, count, values)
        self._owes = not self._tcp  # the port closes a connection on which an answer is late
        frame = yield request.ask()
        self._owes = False
        return request.registers(frame)

    def _request(self, function: int, address: int, count: int, values: Sequence[int]) -> Request:
        self._asked += 1
        return Request(
            tcp=self._tcp, slave=self._address, function=function, address=address, count=count,
            transaction=self._asked, values=values,
        )  # fmt: skip


def _sound(frame: bytes) -> bool:
    return bool(_rtu.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")))
