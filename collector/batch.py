"""What happens to a batch of messages: decode, known already?, alerts, quality, store, ledger. Blocking; one thread.

Everything here may meet the same pack again: the ledger passes over what it knows, alerts and points have identities.
A receipt is made only after the stores and then the ledger have committed.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from collector import points
from collector.alerts.desk import Alert, PlateDesk
from collector.alerts.sightings import Sighting, sighting
from collector.averages.paces import Paces
from collector.averages.touched import Touched
from collector.database import UNAVAILABLE
from collector.ledger import Ledger
from collector.live_box import LatestReading
from collector.quality import Judged, Quality
from collector.quarantine import Quarantine, Refused
from collector.shared_quality import SharedQuality
from collector.stores import RejectedError, Store
from edge_agent.contract.device import Box
from edge_agent.contract.events import BoxStatus, Lost, Stored
from edge_agent.contract.packs import Block, BodyError, Pack, PackError, decode_pack
from edge_agent.contract.quantities import BY_NUMBER
from edge_agent.contract.runs import numbers, pack_runs
from edge_agent.contract.topics import Topic

log = logging.getLogger(__name__)

_decode_status = msgspec.msgpack.Decoder(BoxStatus).decode


class Message(NamedTuple):
    """One MQTT message as it came."""

    topic: str
    payload: bytes
    received: int
    """Milliseconds UTC."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded pack of a known box."""

    box: Box
    pack: Pack
    message: Message
    runs: tuple[int, ...]
    """The numbers as the box named them, for its receipt."""

    @property
    def newest(self) -> int:
        """Time of the newest event in the pack."""
        times = [block.at[-1] for block in self.pack.blocks] or [event.at for event in self.pack.events]
        return max(times, default=0)


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """A batch after decoding."""

    new: list[Arrival]
    known: list[Arrival]
    """Stored before; they only need their receipt again."""
    statuses: list[tuple[str, BoxStatus]]


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest values of one box in a batch."""

    box: Box
    readings: list[LatestReading]


class Sinks:
    """Everything that takes events in, in the order in which it must."""

    def __init__(
        self,
        *,
        fleet: Mapping[str, Box],
        ledger: Ledger,
        quality: Quality,
        store: Store,
        touched: Touched,
        paces: Paces,
        desk: PlateDesk,
        quarantine: Quarantine,
        counters: Counter[str],
        memory: SharedQuality | None = None,
    ) -> None:
        """`memory`: keeps that of `quality` in step with other collectors."""
        self._fleet = fleet
        self._ledger = ledger
        self._quality = quality
        self._store = store
        self._touched = touched
        self._paces = paces
        self._desk = desk
        self._quarantine = quarantine
        self._counters = counters
        self._memory = memory

    def sort(self, messages: Sequence[Message]) -> Sorted:
        """Decode; what cannot be decoded is quarantined and the rest goes on."""
        result = Sorted(new=[], known=[], statuses=[])
        fresh: list[Arrival] = []
        refused: list[tuple[Message, ValueError]] = []
        seen: set[tuple[str, int, tuple[int, ...]]] = set()
        for message in messages:
            try:
                self._sort_one(message, result, seen)
            except ValueError as error:  # a PackError is one
                refused.append((message, error))
        if result.statuses:
            self._ledger.explain(result.statuses)
        if refused:
            self._refuse(refused, result)
        known = self._ledger.known([(a.box.device, a.pack.outbox, a.pack.runs) for a in result.new])
        for arrival, again in zip(result.new, known, strict=True):
            (result.known if again else fresh).append(arrival)
        self._counters["packs_again_total"] += len(result.known)
        return msgspec.structs.replace(result, new=self._without_known_plates(fresh))

    def _without_known_plates(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Leave out plates that come again beside new ones: their time may be over, and they deleted since."""
        mixed = [a for a in arrivals if a.pack.kind == "plates" and len(a.pack.events) > 1]
        asked = [(a.box.device, a.pack.outbox, (number,)) for a in mixed for number in numbers(a.pack.runs)]
        known = iter(self._ledger.known(asked) if asked else ())
        left: dict[int, Arrival] = {}
        for arrival in mixed:
            pack = arrival.pack
            numbered = zip(numbers(pack.runs), pack.events, strict=True)
            new = [(number, event) for number, event in numbered if not next(known)]
            if 0 < len(new) < len(pack.events):
                runs, events = pack_runs(number for number, _ in new), tuple(event for _, event in new)
                left[id(arrival)] = msgspec.structs.replace(
                    arrival, pack=msgspec.structs.replace(pack, runs=runs, events=events)
                )
        return [left.get(id(arrival), arrival) for arrival in arrivals]

    def _refuse(self, refused: Sequence[tuple[Message, ValueError]], result: Sorted) -> None:
        """Keep what cannot be read. What comes a second time, the same, was not spoilt on the way: it is given up.

        Else it would hold a place in its box's window for ever. That needs its numbers and a place in quarantine.
        """
        came = self._set_aside([(message, str(error)) for message, error in refused])
        for (message, error), times in zip(refused, came, strict=True):
            if isinstance(error, BodyError) and times > 1:
                topic = Topic.parse(message.topic)
                lost = Lost(kind=topic.kind, reason=f"cannot be read, kept in quarantine: {error}")
                pack = Pack(kind="lost", outbox=error.outbox, runs=error.runs, lost=lost)
                box = self._fleet[topic.device]
                result.new.append(Arrival(box=box, pack=pack, message=message, runs=pack.runs))

    def _set_aside(self, refused: Sequence[tuple[Message, str]]) -> list[int]:
        """Put messages into quarantine, with why; how often each came, 0 where it found no place."""
        came = self._quarantine.put(
            [Refused(received=m.received, topic=m.topic, reason=why, payload=m.payload) for m, why in refused]
        )
        self._counters["quarantined_total"] += len(came)
        self._counters["quarantine_full_total"] += came.count(0)
        return came

    def _sort_one(self, message: Message, result: Sorted, seen: set[tuple[str, int, tuple[int, ...]]]) -> None:
        topic = Topic.parse(message.topic)
        box = self._fleet.get(topic.device)
        if box is None:
            raise PackError(f"{topic.device} is not a box of the fleet")
        if topic.kind == "status":
            try:
                status = _decode_status(message.payload)
            except msgspec.MsgspecError as error:
                raise PackError(str(error)) from error
            result.statuses.append((box.device, status))
            self._paces.tell(box.device, status.paces, max(0, min(status.at, message.received)))
            return
        pack = decode_pack(topic.kind, message.payload)
        if pack.kind == "readings" and box.medium is None:
            raise PackError(f"{box.device} is a {box.type} and measures nothing")
        self._counters[f'packs_total{{kind="{pack.kind}"}}'] += 1
        self._counters["unknown_quantities_total"] += pack.unknown_columns
        key = (box.device, pack.outbox, pack.runs)
        arrival = Arrival(box=box, pack=pack, message=message, runs=pack.runs)
        if key in seen:
            self._counters["packs_again_total"] += 1
        else:
            result.new.append(arrival)
        seen.add(key)

    def fail(self, arrival: Arrival, error: Exception) -> None:
        """A pack that brings out a fault of ours: it is set aside and gets no receipt; the others go on."""
        self._counters["packs_failed_total"] += 1
        log.error("a pack of %s could not be dealt with; please report this", arrival.box.device, exc_info=error)
        self._set_aside([(arrival.message, f"fault of the collector: {type(error).__name__}")])

    def alert(self, arrivals: list[Arrival]) -> tuple[list[Alert], list[Sighting]]:
        """Keep plates and raise alerts, without waiting for the time series; what fails is taken out of `arrivals`."""
        alerts: list[Alert] = []
        sightings: list[Sighting] = []
        plates = [each for each in arrivals if each.pack.kind == "plates"]
        for i, arrival in enumerate(plates):
            pack, received = arrival.pack, arrival.message.received
            numbered = list(zip(numbers(pack.runs), pack.events, strict=True))
            try:
                alerts += self._desk.take(arrival.box, pack.outbox, numbered, received)
            except UNAVAILABLE:
                if not alerts:
                    raise
                left = set(map(id, plates[i:]))  # it comes again; what was raised is not raised again
                arrivals[:] = [each for each in arrivals if id(each) not in left]
                break
            except Exception as error:
                self.fail(arrival, error)
                arrivals.remove(arrival)
            else:
                sightings += [sighting(arrival.box, pack.outbox, n, read, received) for n, read in numbered]
        self._counters["alerts_total"] += len(alerts)
        return alerts, sightings

    def store(self, arrivals: Sequence[Arrival]) -> list[Latest]:
        """Judge and store, note what is touched, then enter in the ledger.

        Raises StoreError with nothing entered if the store is down, RejectedError if it refuses one of several packs,
        an error of SQLAlchemy if the database does not take what follows; then all of it may come again.
        """
        try:
            if self._memory is not None:
                self._memory.recall({a.box.device for a in arrivals if a.pack.blocks})
            latest = self._write(arrivals)
            entries = [(a.box.device, a.pack.outbox, a.pack.runs, a.pack.lost) for a in arrivals]
            self._ledger.enter(entries, self._memory.put if self._memory is not None else lambda _: None)
        except Exception as error:
            self._quality.undo()
            if not isinstance(error, RejectedError) or len(arrivals) > 1:
                raise
            self._give_up(arrivals[0], str(error))
            return []
        self._quality.keep()
        if self._memory is not None:
            self._memory.kept()
        self._counters["readings_total"] += sum(
            len(block.at) * len(block.quantities) for arrival in arrivals for block in arrival.pack.blocks
        )
        return latest

    def _write(self, arrivals: Sequence[Arrival]) -> list[Latest]:
        blocks = [(arrival.box, block) for arrival in arrivals for block in arrival.pack.blocks]
        judged = self._quality.judge_all([(box.device, block) for box, block in blocks])
        frames = [points.events(arrival.box, arrival.pack) for arrival in arrivals if arrival.pack.events]
        latest: list[Latest] = []
        for (box, block), found in zip(blocks, judged, strict=True):
            frames += points.readings(box, block, found)
            latest.append(Latest(box=box, readings=_latest(block, found)))
        self._counters["gaps_total"] += sum(len(found.gaps) for found in judged)
        if frames:
            self._store.write(frames)
            self._touched.note((f.tags["station"], f.at) for f in frames if "station" in f.tags)
        return latest

    def _give_up(self, arrival: Arrival, reason: str) -> None:
        """A pack that the store will never take: kept in quarantine, and the ledger shows why it is missing."""
        self._set_aside([(arrival.message, reason)])
        lost = Lost(kind=arrival.pack.kind, reason=f"the store refused it: {reason}")
        self._ledger.enter([(arrival.box.device, arrival.pack.outbox, arrival.pack.runs, lost)])


def receipt(arrival: Arrival) -> Stored:
    """What tells a box that it may forget a pack."""
    return Stored(outbox=arrival.pack.outbox, runs=arrival.runs)


def _latest(block: Block, judged: Judged) -> list[LatestReading]:
    row = max(range(len(block.at)), key=block.at.__getitem__)
    computed = [
        LatestReading(
            quantity=BY_NUMBER[derived.quantity].name,
            at=int(derived.at[-1]),
            value=None if math.isnan(derived.values[-1]) else float(derived.values[-1]),
            flag=int(derived.flags[-1]),
        )
        for derived in judged.derived
    ]
    return computed + [
        LatestReading(
            quantity=BY_NUMBER[number].name,
            at=block.at[row],
            value=None if block.columns[i][row] is None else float(judged.values[i, row]),
            flag=int(judged.flags[i, row]),
            status=block.status.get((i, row), 0),
        )
        for i, number in enumerate(block.quantities)
    ]
