"""`collector tap` and `collector decode`: what boxes send, as JSON lines.

Plates are personal data: they are masked unless a reason is given, and the reason goes into the audit.
"""

from __future__ import annotations

import argparse
import getpass
import os
import queue
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from paho.mqtt import client as mqtt

from collector.errors import Failure
from collector.mqtt import make_client
from collector.settings import load
from collector.state import broker_access, database, now_ms
from collector.web.access import Access, Who
from edge_agent.contract.as_json import as_json
from edge_agent.contract.broker import why_unreachable
from edge_agent.contract.events import Answer, BoxStatus
from edge_agent.contract.packs import Pack, PackError, decode_pack
from edge_agent.contract.runs import numbers
from edge_agent.contract.topics import ALL_UP, UP_KINDS, Topic

MASK = "•"
ALONE: dict[str, type[msgspec.Struct]] = {"status": BoxStatus, "answer": Answer}
"""Kinds that do not come in packs."""


def add_tap_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `collector tap`."""
    parser.add_argument("settings", type=Path, help="the collector's settings")
    parser.add_argument("--device", help="only this box")
    parser.add_argument("--kind", choices=UP_KINDS, help="only this kind")
    parser.add_argument("--count", type=int, default=0, help="stop after so many messages (default: never)")
    parser.add_argument("--plates-because", metavar="REASON", help="show plates; who and why is recorded")


def add_decode_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `collector decode`."""
    parser.add_argument("kind", choices=UP_KINDS)
    parser.add_argument("file", type=Path, help="payload as bytes or hex; - for standard input")


def run_tap(options: argparse.Namespace) -> int:
    """Print messages as they come, until Ctrl-C."""
    settings = load(options.settings)
    if options.plates_because:
        who = Who(name=getpass.getuser(), role="operator")
        Access(database(settings)).record(who, "tap", {"reason": options.plates_because}, now=now_ms())
    broker, password = broker_access(settings)
    at = f"{broker.host}:{broker.port}"
    waiting: queue.Queue[mqtt.MQTTMessage | Failure] = queue.Queue(1000)

    def on_connect(client: mqtt.Client, _userdata: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            waiting.put(Failure(f"the broker at {at} refused us: {reason}\n  see broker.password_file"))
        client.subscribe(ALL_UP)

    client = make_client(broker, password, client_id=f"{broker.user}-tap-{os.getpid()}")
    client.on_connect = on_connect
    client.on_message = lambda _c, _u, message: None if waiting.full() else waiting.put(message)
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise Failure(
            f"cannot connect to the broker at {at}: {why_unreachable(error)}\n  does the collector run?"
        ) from error
    client.loop_start()
    shown = 0
    try:
        while not options.count or shown < options.count:
            message = waiting.get()
            if isinstance(message, Failure):
                raise message
            shown += _show(message, options)
    except KeyboardInterrupt:
        pass
    finally:
        client.disconnect()
        client.loop_stop()
    return 0


def _show(message: mqtt.MQTTMessage, options: argparse.Namespace) -> bool:
    """Print a message that is asked for; tells whether it is."""
    try:
        topic = Topic.parse(message.topic)
    except ValueError as error:
        asked = options.device is None and options.kind is None
        if asked:
            print(msgspec.json.encode({"error": str(error)}).decode(), flush=True)
        return asked
    asked = options.device in (None, topic.device) and options.kind in (None, topic.kind)
    if asked:
        for line in lines(topic.kind, bytes(message.payload), masked=not options.plates_because):
            print(msgspec.json.encode({"device": topic.device, **line}).decode(), flush=True)
    return asked


def run_decode(options: argparse.Namespace) -> int:
    """Print a captured payload; exit 1 if it is not one."""
    try:
        payload = sys.stdin.buffer.read() if str(options.file) == "-" else options.file.read_bytes()
    except OSError as error:
        raise Failure(f"{options.file}: {error.strerror}") from error
    with suppress(ValueError):  # not hex: the bytes themselves
        payload = bytes.fromhex(payload.decode("ascii"))
    wrong = False
    for line in lines(options.kind, payload, masked=True):
        wrong |= "error" in line
        print(msgspec.json.encode(line).decode())
    return int(wrong)


def lines(kind: str, payload: bytes, *, masked: bool) -> Iterator[dict[str, Any]]:
    """The events of one message as plain values; `{"error": ...}` if it is not readable."""
    try:
        if kind in ALONE:
            plain = msgspec.structs.asdict(msgspec.msgpack.decode(payload, type=ALONE[kind]))
            yield {"kind": kind, **plain}
            return
        pack = decode_pack(kind, payload)
    except (PackError, msgspec.MsgspecError) as error:
        unreadable = {"kind": kind, "error": str(error), "bytes": len(payload)}
        # what cannot be read may still hold a plate
        yield unreadable if masked and kind == "plates" else {**unreadable, "payload": payload[:64].hex()}
        return
    for event in _events(pack, masked=masked):
        yield {"outbox": pack.outbox, **event}


def _events(pack: Pack, *, masked: bool) -> Iterator[dict[str, Any]]:
    if pack.lost is not None:
        yield {"kind": "lost", "runs": pack.runs, **msgspec.to_builtins(pack.lost)}
    for block in pack.blocks:  # rows of several blocks may stand in another order than their numbers
        yield from ({"runs": pack.runs, **as_json(sample)} for sample in block.samples())
    for number, event in zip(numbers(pack.runs) if pack.events else (), pack.events, strict=True):
        plain = {"number": number, **as_json(event)}
        if masked and pack.kind == "plates":
            plain |= {name: mask(plain[name]) for name in ("text", "raw")}
        yield plain


def mask(plate: str) -> str:
    """The province and nothing else.

    >>> mask("68A12345")
    '68••••••'
    """
    return plate[:2] + MASK * (len(plate) - 2)
