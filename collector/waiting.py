"""What has come from the boxes and waits for the sinks: plates first, and never more than is soon worked through.

What finds no room is dropped; its box sends it again, more slowly and in fewer, larger packs the longer it must. So a
slow collector slows its boxes, and what it takes is fresh: a long queue would only hold what is sent a second time.
One box takes a small share of the room, whatever it sends, so that none can push out the others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Lock

from collector.batch import Message
from edge_agent.contract.events import URGENT

MOST, LEAST = 20_000, 200
"""Messages of one queue: however fast, and however slow the sinks are."""
MOST_BYTES = 64_000_000
HOLD_S = 3.0
"""What the sinks work through in so long may wait; boxes send again after five seconds."""
OVERDUE_S, OVERDUE_HOLD = 15.0, 2
"""What has found no room for so long finds so many times as much: who just got a receipt sends its next pack while
there is room, and would always be before those that wait for their time to send again."""
SHARE, OF_A_BOX = 20, 32
"""Of each queue a box has one in so many of the places, so many messages at most: several times the default window."""
BATCH = 400
MANY, MANY_BYTES = 2400, 400_000
"""A batch without plates may hold so many small messages: each batch has its price, whatever is in it."""
FULL_BYTES = 1000
"""A larger pack counts as several: a box that was cut off for long sends thousands of samples in one."""
PLATES = f"/{URGENT}"
STATUS = "/status"
"""It is said once for each connection: what is not taken does not come again, and the newest says all."""
FOR_THE_REST = 4
"""One in so many of a batch is not for plates, however many wait."""


class _Queue:
    """Messages in the order in which they came, what they count together, and those of each box."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.counts = 0
        self._of: dict[str, tuple[int, int]] = {}
        """How many messages of each box are here, and as how many they count."""

    def put(self, message: Message, room: int) -> bool:
        box, (number, counts) = _box(message), self._of.get(_box(message), (0, 0))
        if self.counts >= room or number >= OF_A_BOX or counts >= room // SHARE:
            return False
        self.messages.append(message)
        self.counts += _counts(message)
        self._of[box] = number + 1, counts + _counts(message)
        return True

    def take(self, at_most: int) -> list[Message]:
        taken: list[Message] = []
        while self.messages and at_most > 0:
            message = self.messages.popleft()
            taken.append(message)
            at_most -= _counts(message)
            self.counts -= _counts(message)
            number, counts = self._of.pop(_box(message))
            if number > 1:
                self._of[_box(message)] = number - 1, counts - _counts(message)
        return taken


class Waiting:
    """Two queues, plates and the rest, and the newest status of each box; threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._urgent, self._rest = _Queue(), _Queue()
        self._statuses: dict[str, Message] = {}
        """By box."""
        self._refused: dict[str, float] = {}
        """When what now finds no room was first refused, by topic."""
        self._bytes = 0
        self._each_s = 0.0
        """Time that the sinks took for each message lately."""

    def __len__(self) -> int:
        return len(self._urgent.messages) + len(self._rest.messages) + len(self._statuses)

    @property
    def room(self) -> int:
        """Messages that each queue holds at most now."""
        return int(min(MOST, max(LEAST, HOLD_S / self._each_s))) if self._each_s else MOST

    def put(self, message: Message) -> bool:
        """Keep a message; False if there is no room for it."""
        box, size = _box(message), len(message.payload)
        with self._lock:
            if self._bytes + size > MOST_BYTES:
                return False
            if message.topic == box + STATUS:
                old = self._statuses.get(box)
                self._statuses[box] = message
                self._bytes += size - (len(old.payload) if old is not None else 0)
                return True
            queue = self._urgent if message.topic.endswith(PLATES) else self._rest
            room = self.room
            if queue.counts >= room and self._overdue(message.topic):
                room *= OVERDUE_HOLD
            if not queue.put(message, room):
                return False
            self._refused.pop(message.topic, None)
            self._bytes += size
            return True

    def _overdue(self, topic: str) -> bool:
        now = time.monotonic()
        if topic not in self._refused and len(self._refused) < MOST:
            self._refused[topic] = now
        return now - self._refused.get(topic, now) >= OVERDUE_S

    def take(self) -> list[Message]:
        """The next batch, plates before the rest, each in the order in which it came."""
        with self._lock:
            rest = min(self._rest.counts, max(BATCH - self._urgent.counts, BATCH // FOR_THE_REST))
            plates = self._urgent.take(BATCH - rest)
            batch = plates + self._rest.take(rest)
            size = sum(len(message.payload) for message in batch)
            while self._rest.messages and not plates and len(batch) < MANY and size < MANY_BYTES:
                batch += self._rest.take(1)
                size += len(batch[-1].payload)
            batch += [self._statuses.pop(box) for box in list(self._statuses)[: BATCH // FOR_THE_REST]]
            self._bytes -= sum(len(message.payload) for message in batch)
            return batch

    def take_plates(self, at_most: int) -> list[Message]:
        """The plates that wait, without the rest."""
        with self._lock:
            batch = self._urgent.take(at_most)
            self._bytes -= sum(len(message.payload) for message in batch)
            return batch

    def put_back(self, batch: Sequence[Message]) -> None:
        """Keep the statuses of a batch that was taken in vain, unless the box has said another since."""
        with self._lock:
            for message in batch:
                box = _box(message)
                if message.topic == box + STATUS and self._statuses.setdefault(box, message) is message:
                    self._bytes += len(message.payload)

    def worked(self, batch: Sequence[Message], seconds: float) -> None:
        """A batch has gone through the sinks in so long, or was refused by them."""
        count = sum(map(_counts, batch))
        # a small batch says that the sinks keep up, and nothing of what each message costs in a large one
        each_s = seconds / count if count >= BATCH // FOR_THE_REST else 0.0
        self._each_s += (each_s - self._each_s) / 4


def _counts(message: Message) -> int:
    """As how many messages one counts: plates have their size from their pictures, which cost no time."""
    return 1 if message.topic.endswith(PLATES) else 1 + len(message.payload) // FULL_BYTES


def _box(message: Message) -> str:
    """The topic up to the box's name, which the broker checks; a box may call the rest what it likes."""
    return message.topic[: message.topic.find("/", len("v1/up/"))]
