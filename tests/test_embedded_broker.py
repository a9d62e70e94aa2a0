"""The embedded broker loses no message while boxes come and go; a name belongs to one connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from ports import free_port

from collector.broker import embedded_broker
from collector.credentials import enrol

MESSAGES = 400


async def test_boxes_that_come_and_go_cost_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords, port = tmp_path / "passwords", free_port()
    boxes = {f"air-{n:02}": enrol(passwords, f"air-{n:02}") for n in range(1, 8)}
    boxes["collector"] = "secret"
    heard: list[bytes] = []

    def client(name: str) -> paho.Client:
        made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        made.username_pw_set(name, boxes[name])
        made.connect("127.0.0.1", port)
        made.loop_start()
        return made

    def come_and_go(name: str) -> None:
        for _ in range(25):
            made, subscribed = client(name), threading.Event()
            made.on_subscribe = lambda *_, heard=subscribed: heard.set()
            made.subscribe(f"v1/down/{name}/stored")
            assert subscribed.wait(10)
            made.disconnect()
            made.loop_stop()

    def speak() -> None:
        for number in range(MESSAGES):
            speaker.publish("v1/up/air-01/readings", str(number)).wait_for_publish(10)

    async with embedded_broker(host="127.0.0.1", port=port, password_file=passwords, collector_password="secret"):
        collector, speaker = await asyncio.to_thread(client, "collector"), await asyncio.to_thread(client, "air-01")
        collector.on_message = lambda _client, _data, message: heard.append(bytes(message.payload))
        collector.subscribe("v1/up/+/readings")
        await asyncio.sleep(0.5)
        async with asyncio.TaskGroup() as tasks:
            for name in list(boxes)[1:-1]:
                tasks.create_task(asyncio.to_thread(come_and_go, name))
            tasks.create_task(asyncio.to_thread(speak))
        async with asyncio.timeout(10):
            while len(heard) < MESSAGES:
                await asyncio.sleep(0.05)
        for each in (collector, speaker):
            each.disconnect()
            each.loop_stop()
    assert heard == [str(number).encode() for number in range(MESSAGES)]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_connects_anew_takes_over_and_who_has_no_password_does_not(tmp_path: Path) -> None:
    """Else a box that comes back before its old connection has ended could hear no receipt."""
    passwords, port = tmp_path / "passwords", free_port()
    password = enrol(passwords, "air-01")
    heard: dict[str, list[bytes]] = {"first": [], "second": []}
    ended: list[str] = []
    said: list[bytes] = []

    def client(label: str, name: str, secret: str) -> paho.Client:
        made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, reconnect_on_failure=False)
        made.username_pw_set(name, secret)
        made.will_set("v1/up/air-01/status", f"{label} is gone", 1)
        made.on_message = lambda _client, _data, message: heard[label].append(bytes(message.payload))
        made.on_disconnect = lambda *_: ended.append(label)
        subscribed = threading.Event()
        made.on_subscribe = lambda *_: subscribed.set()
        made.connect("127.0.0.1", port)
        made.loop_start()
        made.subscribe(f"v1/down/{name}/stored")
        subscribed.wait(2)
        return made

    async def receipt(text: str, label: str) -> None:
        centre.publish("v1/down/air-01/stored", text)
        async with asyncio.timeout(5):
            while text.encode() not in heard[label]:
                await asyncio.sleep(0.02)

    async with embedded_broker(host="127.0.0.1", port=port, password_file=passwords, collector_password="secret"):
        centre = await asyncio.to_thread(client, "centre", "collector", "secret")
        centre.on_message = lambda _client, _data, message: said.append(bytes(message.payload))
        centre.subscribe("v1/up/+/status")
        first = await asyncio.to_thread(client, "first", "air-01", password)
        stranger = await asyncio.to_thread(client, "stranger", "air-01", "guessed")
        await receipt("still heard", "first")
        assert ended == ["stranger"]
        second = await asyncio.to_thread(client, "second", "air-01", password)
        await receipt("heard by the newer one", "second")
        async with asyncio.timeout(5):
            while "first" not in ended:
                await asyncio.sleep(0.02)
        second.publish("v1/up/air-01/status", "second is here")
        async with asyncio.timeout(5):
            while b"second is here" not in said:
                await asyncio.sleep(0.02)
        assert said == [b"first is gone", b"second is here"]
        for each in (centre, first, second, stranger):
            each.disconnect()
            each.loop_stop()


async def test_of_many_who_come_under_one_name_at_once_the_last_is_heard_and_hears(tmp_path: Path) -> None:
    """As where a box was started twice: each comes back a second after the other has pushed it out."""
    passwords, port = tmp_path / "passwords", free_port()
    password = enrol(passwords, "air-01")
    connected: dict[int, paho.Client] = {}
    heard: set[int] = set()

    def client(number: int) -> None:
        made = paho.Client(CallbackAPIVersion.VERSION2, client_id="air-01", reconnect_on_failure=False)

        def subscribe(*_: object) -> None:
            made.subscribe("v1/down/air-01/stored", 1)

        def gone(*_: object) -> None:
            connected.pop(number, None)

        made.username_pw_set("air-01", password)
        made.on_connect = subscribe
        made.on_disconnect = gone
        made.on_subscribe = lambda *_: connected.__setitem__(number, made)
        made.on_message = lambda *_: heard.add(number)
        made.connect("127.0.0.1", port)
        made.loop_start()

    async with embedded_broker(host="127.0.0.1", port=port, password_file=passwords, collector_password="secret"):
        centre = paho.Client(CallbackAPIVersion.VERSION2, client_id="collector")
        centre.username_pw_set("collector", "secret")
        await asyncio.to_thread(centre.connect, "127.0.0.1", port)
        centre.loop_start()
        async with asyncio.timeout(30):
            await asyncio.gather(*(asyncio.to_thread(client, number) for number in range(8)))
            while len(connected) != 1 or heard != set(connected):
                heard.clear()
                centre.publish("v1/down/air-01/stored", "x")
                await asyncio.sleep(0.2)
        for each in (centre, *connected.values()):
            each.disconnect()
            each.loop_stop()


async def test_who_hangs_up_before_it_is_greeted_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    def hang_up(said: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # at once
            stranger.sendall(said)

    strange = b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00"  # of a version that is none
    async with embedded_broker(host="127.0.0.1", port=port, password_file=tmp_path / "p", collector_password="secret"):
        for _ in range(10):
            for said in (b"", b"\x10", b"GET / HTTP/1.0\r\n\r\n", strange):
                await asyncio.to_thread(hang_up, said)
        await asyncio.sleep(0.5)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text


async def test_any_password_that_is_wrong_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords, port = tmp_path / "passwords", free_port()
    enrol(passwords, "air-01")

    def answer(name: str, password: str) -> str:
        made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, reconnect_on_failure=False)
        made.username_pw_set(name, password)
        answers: list[str] = []
        heard = threading.Event()
        made.on_connect = lambda _c, _u, _f, reason, _p: (answers.append(str(reason)), heard.set())
        made.connect("127.0.0.1", port)
        made.loop_start()
        assert heard.wait(10), f"{name} is told that {password!r} is wrong"
        made.loop_stop()
        return answers[0]

    async with embedded_broker(host="127.0.0.1", port=port, password_file=passwords, collector_password="secret"):
        for name in ("collector", "air-01", "mật khẩu"):
            for password in ("", "guessed", "mật khẩu"):
                assert await asyncio.to_thread(answer, name, password) == "Not authorized"
        assert await asyncio.to_thread(answer, "collector", "secret") == "Success"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
