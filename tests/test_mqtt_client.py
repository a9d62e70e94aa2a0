"""The collector's MQTT client against a real Mosquitto: every message whole, in order, in both directions."""

from __future__ import annotations

import os
import resource
import socket
import threading
from pathlib import Path

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servers import Server, mosquitto

from collector.mqtt import make_client
from collector.mqtt_client import READ_BYTES
from collector.settings import BrokerSettings

WAIT_S = 15
SIZES = (0, 1, 100, 127, 128, 16_383, 16_384, 3, READ_BYTES - 1, READ_BYTES + 70_000, 5)


class Heard:
    """A client that subscribes to one topic and keeps what comes."""

    def __init__(self, client: mqtt.Client, port: int, topic: str, expected: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.done = threading.Event()
        self.subscribed = threading.Event()
        self._expected = expected
        client.on_connect = lambda *_: client.subscribe(topic)
        client.on_subscribe = lambda *_: self.subscribed.set()
        client.on_message = lambda _c, _u, message: self._take(message)
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self.subscribed.wait(WAIT_S)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload)))
        if len(self.messages) == self._expected:
            self.done.set()


@pytest.fixture
def broker(tmp_path: Path) -> Server:
    with mosquitto(tmp_path, "allow_anonymous true\nmax_queued_messages 20000") as server:
        yield server


def test_messages_of_all_sizes_pass_whole_and_in_order_both_ways_at_once(broker: Server) -> None:
    sent = [(f"to/{i}", bytes([i % 251]) * SIZES[i % len(SIZES)]) for i in range(1100)]
    ours = make_client(BrokerSettings(host="127.0.0.1", port=broker.port), None, "collector")
    theirs = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="box")
    down = [(topic.replace("to/", "down/"), payload) for topic, payload in sent]
    here = Heard(ours, broker.port, "to/#", len(sent))
    there = Heard(theirs, broker.port, "down/#", len(down))
    try:
        for i in range(0, len(sent), 100):
            for topic, payload in sent[i : i + 100]:
                theirs.publish(topic, payload)
            ours.publish_all(down[i : i + 100])
        assert here.done.wait(WAIT_S), len(here.messages)
        assert there.done.wait(WAIT_S), len(there.messages)
    finally:
        ours.loop_stop()
        theirs.loop_stop()
    assert here.messages == sent
    assert there.messages == down


def test_what_is_left_of_a_broken_connection_does_not_spoil_the_next() -> None:
    connack, suback, message = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00", b"\x30\x09\x00\x04to/1abc"
    malformed = b"\x30\xff\xff\xff\xff\xff"
    with socket.create_server(("127.0.0.1", 0)) as broker:

        def answer() -> None:
            for said in (connack + suback + malformed + b"\x30\x7f\x00", connack + suback + message):
                connection, _ = broker.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(said)
                    while connection.recv(1000):
                        pass

        threading.Thread(target=answer, daemon=True).start()
        port = broker.getsockname()[1]
        ours = make_client(BrokerSettings(host="127.0.0.1", port=port), None, "collector")
        ours.reconnect_delay_set(1, 1)
        heard = Heard(ours, port, "to/#", 1)
        try:
            assert heard.done.wait(WAIT_S)
        finally:
            ours.disconnect()
            ours.loop_stop()
    assert heard.messages == [("to/1", b"abc")]


def test_a_connection_behind_a_thousand_others_of_the_process_is_heard(broker: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    others = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while others[-1] < 1100:
            others.append(os.dup(others[0]))
        ours = make_client(BrokerSettings(host="127.0.0.1", port=broker.port), None, "collector")
        heard = Heard(ours, broker.port, "to/#", 1)
        try:
            ours.publish_all([("to/1", b"abc")])
            assert heard.done.wait(WAIT_S)
        finally:
            ours.disconnect()
            ours.loop_stop()
    finally:
        for other in others:
            os.close(other)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert heard.messages == [("to/1", b"abc")]


def test_without_a_connection_nothing_is_kept_for_later(broker: Server) -> None:
    ours = make_client(BrokerSettings(host="127.0.0.1", port=broker.port), None, "collector")
    ours.publish_all([("down/1", b"too early")])
    theirs = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="box")
    there = Heard(theirs, broker.port, "down/#", 1)
    Heard(ours, broker.port, "to/#", 1)
    try:
        ours.publish_all([("down/2", b"in time")])
        assert there.done.wait(WAIT_S)
    finally:
        ours.loop_stop()
        theirs.loop_stop()
    assert there.messages == [("down/2", b"in time")]
