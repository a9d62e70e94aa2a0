"""What has come from the boxes and waits for the sinks: plates first, and never more than is soon worked through.

What finds no room is dropped; its box sends it again, more slowly and in fewer, larger packs the longer it must. So a
slow collector slows its boxes, and what it takes is fresh: a long queue would only hold what is sent a second time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

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
BATCH = 400
MANY, MANY_BYTES = 2400, 400_000
"""A batch without plates may hold so many small messages: each batch has its price, whatever is in it."""
PLATES = f"/{URGENT}"
STATUS = "/status"
"""It is said once for each connection: what is not taken does not come again."""
FOR_THE_REST = 4
"""One in so many of a batch is not for plates, however many wait."""


class Waiting:
    """Two queues, plates and the rest. One thread puts, another takes."""

    def __init__(self) -> None:
        self._urgent: deque[Message] = deque()
        self._rest: deque[Message] = deque()
        self._bytes_come = self._bytes_taken = 0  # the one is changed by who puts alone, the other by who takes
        self._refused: dict[str, float] = {}
        """When what now finds no room was first refused, by topic, which tells box and kind."""
        self._each_s = 0.0
        """Time that the sinks took for each message lately."""

    def __len__(self) -> int:
        return len(self._urgent) + len(self._rest)

    @property
    def room(self) -> int:
        """Messages that each queue holds at most now."""
        return int(min(MOST, max(LEAST, HOLD_S / self._each_s))) if self._each_s else MOST

    def put(self, message: Message) -> bool:
        """Keep a message; False if there is no room for it."""
        queue = self._urgent if message.topic.endswith(PLATES) else self._rest
        room = MOST if message.topic.endswith(STATUS) else self.room
        if self._bytes_come - self._bytes_taken >= MOST_BYTES:
            return False
        if len(queue) >= room and not (self._overdue(message.topic) and len(queue) < OVERDUE_HOLD * room):
            return False
        if self._refused:
            self._refused.pop(message.topic, None)
        self._bytes_come += len(message.payload)
        queue.append(message)
        return True

    def _overdue(self, topic: str) -> bool:
        now = time.monotonic()
        if topic not in self._refused and len(self._refused) < MOST:
            self._refused[topic] = now
        return now - self._refused.get(topic, now) >= OVERDUE_S

    def take(self) -> list[Message]:
        """The next batch, plates before the rest, each in the order in which it came."""
        rest = min(len(self._rest), max(BATCH - len(self._urgent), BATCH // FOR_THE_REST))
        plates = [self._urgent.popleft() for _ in range(min(len(self._urgent), BATCH - rest))]
        batch = plates + [self._rest.popleft() for _ in range(rest)]
        size = sum(len(message.payload) for message in batch)
        while self._rest and not plates and len(batch) < MANY and size < MANY_BYTES:
            batch.append(self._rest.popleft())
            size += len(batch[-1].payload)
        self._bytes_taken += size
        return batch

    def take_plates(self, at_most: int) -> list[Message]:
        """The plates that wait, without the rest."""
        batch = [self._urgent.popleft() for _ in range(min(len(self._urgent), at_most))]
        self._bytes_taken += sum(len(message.payload) for message in batch)
        return batch

    def put_back(self, messages: Sequence[Message]) -> None:
        """Keep messages that were taken in vain and are no plates; they are the first to be taken again."""
        self._bytes_taken -= sum(len(message.payload) for message in messages)
        self._rest.extendleft(reversed(messages))

    def worked(self, count: int, seconds: float) -> None:
        """So many messages have gone through the sinks in so long, or were refused by them."""
        # a small batch says that the sinks keep up, and nothing of what each message costs in a large one
        each_s = seconds / count if count >= BATCH // FOR_THE_REST else 0.0
        self._each_s += (each_s - self._each_s) / 4
