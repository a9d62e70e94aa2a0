"""Modbus frames, RTU and TCP, through pymodbus's framers; only reading of registers is spoken. No I/O.

RTU, on serial lines; nothing marks where a frame begins:

    request    address  function  first register u16  count u16  CRC-16 low byte first
    answer     address  function  bytes u8            registers  CRC
    refusal    address  function + 80                 code u8    CRC

TCP: no CRC, and seven bytes before the function:

    transaction u16   00 00   bytes that follow u16   unit (address)

We know which slave, function and length we wait for, so an answer is hunted by these three and then believed only if
pymodbus finds it sound: noise before it, another slave's answer and the echo of some RS-485 adapters are passed over.
Source: MODBUS Application Protocol V1.1b3, Messaging on TCP/IP V1.0b; vectors in tests/golden/wire/modbus.txt.

Importing this module costs 1.2 MB of memory (pymodbus loads its data store along with its framers): the driver does it
when the first poll begins.
"""

from __future__ import annotations

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from edge_agent.errors import FrameError
from edge_agent.station.conversation import Ask

_REQUESTS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_decoder = DecodePDU(False)
_rtu = FramerRTU(_decoder)
_tcp = FramerSocket(_decoder)

MAX_TCP_LENGTH = 254
"""The largest length field of Modbus TCP."""

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
    """The slave answered that it will not give these registers."""


class Request:
    """A request for `count` registers and what is to be done with the answer."""

    def __init__(self, *, tcp: bool, slave: int, function: int, address: int, count: int, transaction: int) -> None:
        self.tcp, self.slave, self.function, self.count = tcp, slave, function, count
        self.transaction = transaction if tcp else 0
        self._what = f"function {function}, registers {address} to {address + count - 1}"
        message = _REQUESTS[function](address=address, count=count, dev_id=slave, transaction_id=self.transaction)
        self.sent: bytes = (_tcp if tcp else _rtu).buildFrame(message)

    def ask(self) -> Ask:
        """What a conversation yields."""
        return Ask(send=self.sent, find=self.find_tcp if self.tcp else self.find_rtu)

    def find_rtu(self, buffer: bytes) -> tuple[int, bytes | None]:
        """Find the answer or refusal among RTU bytes; see `conversation.py`."""
        undecided = len(buffer)
        for start in range(len(buffer)):
            size = self._rtu_size(buffer[start : start + 3])
            if not size:
                continue
            frame = buffer[start : start + size]
            if len(frame) < size:  # a later start may still be the real one
                undecided = min(undecided, start)
            elif _rtu.decode(frame)[3]:
                return start + size, frame
        return undecided, None

    def _rtu_size(self, head: bytes) -> int:
        """Size of the frame that begins so, if it may be the answer; 0 if it cannot."""
        answer = bytes((self.slave, self.function, 2 * self.count))
        if answer.startswith(head):
            return 5 + 2 * self.count
        if bytes((self.slave, self.function | 0x80)).startswith(head[:2]):
            return 5
        return 0

    def find_tcp(self, buffer: bytes) -> tuple[int, bytes | None]:
        """Find the answer or refusal among TCP bytes; FrameError where the stream cannot be understood any more."""
        if len(buffer) < 6:
            return 0, None
        if buffer[2:4] != b"\0\0" or not 3 <= int.from_bytes(buffer[4:6], "big") <= MAX_TCP_LENGTH:
            raise FrameError(f"not Modbus TCP: {buffer[:8].hex(' ')}")
        size = 6 + int.from_bytes(buffer[4:6], "big")
        if len(buffer) < size:
            return 0, None
        used, slave, transaction, pdu = _tcp.decode(buffer[:size])
        if used != size or (slave, transaction) != (self.slave, self.transaction) or pdu[0] & 0x7F != self.function:
            return size, None
        return size, buffer[:size]

    def registers(self, frame: bytes) -> list[int]:
        """The registers of an answer that `find` gave.

        Raises RefusedError for a refusal, FrameError for any other count than was asked for.
        """
        pdu = (_tcp if self.tcp else _rtu).decode(frame)[3]
        answer = _decoder.decode(pdu)
        if isinstance(answer, ExceptionResponse):
            code = answer.exception_code
            raise RefusedError(f"refuses {self._what}: code {code}, {REFUSALS.get(code, 'not in the standard')}")
        if answer is None or len(answer.registers) != self.count:
            raise FrameError(f"{self._what}: asked for {self.count} registers, got {pdu.hex(' ')}")
        return list(answer.registers)
