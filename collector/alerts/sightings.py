"""Every plate that a camera read: personal data, kept only as long as the settings say."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from collector.alerts.match import normal
from collector.database import METADATA, Id, plain
from edge_agent.contract.device import Box
from edge_agent.contract.events import PlateRead

SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("device", String, nullable=False),
    Column("outbox", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("site", String, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False, index=True),
    Column("plate", String, nullable=False, index=True),  # `text` without separators, what searches compare
    Column("text", String, nullable=False),
    Column("raw", String, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("valid", Integer, nullable=False),
    Column("details", LargeBinary, nullable=False),  # JSON of `Details`: read with the row, never searched
    Column("jpeg", LargeBinary, nullable=False),
    UniqueConstraint("device", "outbox", "number"),
)

COLUMNS = [column for column in SIGHTINGS.c if column.name != "jpeg"]
"""What `from_row` needs."""
_IDENTITY = re.compile(r"([a-z][a-z0-9-]{0,31})\.([0-9]{1,16})\.([0-9]{1,16})")


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown beside a plate."""

    char_confidence: tuple[int, ...]
    """Per cent, one for each character of `raw`."""
    classes: tuple[str, ...]
    colour: str
    layout: str
    quad: tuple[int, ...]
    frame_size: tuple[int, int]
    frames: int
    rendered: bool


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's pass before a camera, without its picture; times are milliseconds UTC."""

    device: str
    outbox: int
    number: int
    site: str
    at: int
    first: int
    last: int
    received: int
    text: str
    raw: str
    confidence: float
    valid: bool
    details: Details

    @property
    def id(self) -> str:
        """The event's identity in one word, `cam-01.31415.7`; it names the picture too."""
        return f"{self.device}.{self.outbox}.{self.number}"

    @property
    def characters(self) -> list[tuple[str, int | None]]:
        """The text by character with its per cent of confidence, where repair kept the characters in their places."""
        seen = [
            (c, self.details.char_confidence[i]) for i, c in enumerate(self.raw[: len(self.details.char_confidence)])
        ]
        sure = [percent for c, percent in seen if normal(c)]
        plate = normal(self.text)
        return [(c, sure[i] if len(sure) == len(plate) else None) for i, c in enumerate(plate)]


def sighting(box: Box, outbox: int, number: int, read: PlateRead, received_ms: int) -> Sighting:
    """What is kept and shown of a plate event."""
    return Sighting(
        device=box.device,
        outbox=outbox,
        number=number,
        site=box.site,
        at=read.at,
        first=read.first,
        last=read.last,
        received=received_ms,
        text=plain(read.text),
        raw=plain(read.raw),
        confidence=read.confidence,
        valid=read.valid,
        details=Details(
            char_confidence=read.char_confidence,
            classes=read.classes,
            colour=read.colour,
            layout=read.layout,
            quad=read.quad,
            frame_size=read.frame_size,
            frames=read.frames,
            rendered=read.rendered,
        ),
    )


def parse_identity(text: str) -> tuple[str, int, int] | None:
    """Take `Sighting.id` apart; None for anything else."""
    match = _IDENTITY.fullmatch(text)
    return None if match is None else (match[1], int(match[2]), int(match[3]))


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> int | None:
    """Insert a row; its id, or None if one of the same identity is there."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    return connection.execute(statement).scalar_one_or_none()


def insert_sighting(connection: Connection, seen: Sighting, jpeg: bytes) -> int | None:
    """Keep a sighting; its row, or None if it is there already."""
    values: dict[str, Any] = {name: getattr(seen, name) for name in ("device", "outbox", "number", "site", "at")}
    values |= {name: getattr(seen, name) for name in ("first", "last", "received", "text", "raw", "confidence")}
    values |= {"plate": normal(seen.text), "valid": int(seen.valid), "details": msgspec.json.encode(seen.details)}
    return insert_new(connection, SIGHTINGS, {**values, "jpeg": jpeg})


def from_row(row: Row[Any]) -> Sighting:
    """A sighting from a row that holds its columns."""
    values = {name: row._mapping[SIGHTINGS.c[name]] for name in Sighting.__struct_fields__ if name != "details"}
    values["valid"] = bool(values["valid"])
    return Sighting(**values, details=msgspec.json.decode(row._mapping[SIGHTINGS.c.details], type=Details))


def older(before_ms: int) -> ColumnElement[bool]:
    """Which sightings are of a pass before `before_ms`, or came before: the clock of a box may run ahead."""
    return or_(SIGHTINGS.c.at < before_ms, SIGHTINGS.c.received < before_ms)


def search(
    engine: Engine,
    *,
    pattern: str | None = None,
    camera: str | None = None,
    site: str | None = None,
    start: int | None = None,
    stop: int | None = None,
    limit: int = 100,
) -> list[Sighting]:
    """The newest sightings first; `pattern` is a plate with `*` and `?`, times are milliseconds, `stop` exclusive."""
    query = select(*COLUMNS).order_by(SIGHTINGS.c.at.desc(), SIGHTINGS.c.id.desc()).limit(limit)
    if pattern is not None:
        like = normal(pattern).translate({ord("*"): "%", ord("?"): "_", ord("%"): r"\%", ord("\\"): r"\\"})
        query = query.where(SIGHTINGS.c.plate.like(like, escape="\\"))
    if camera is not None:
        query = query.where(SIGHTINGS.c.device == camera)
    if site is not None:
        query = query.where(SIGHTINGS.c.site == site)
    if start is not None:
        query = query.where(SIGHTINGS.c.at >= start)
    if stop is not None:
        query = query.where(SIGHTINGS.c.at < stop)
    with engine.connect() as connection:
        return [from_row(row) for row in connection.execute(query)]


def picture(engine: Engine, identity: str) -> bytes | None:
    """The JPEG of a sighting; None if there is none of that identity or it holds no JPEG."""
    key = parse_identity(identity)
    if key is None:
        return None
    same = (SIGHTINGS.c.device == key[0], SIGHTINGS.c.outbox == key[1], SIGHTINGS.c.number == key[2])
    with engine.connect() as connection:
        jpeg = connection.execute(select(SIGHTINGS.c.jpeg).where(*same)).scalar_one_or_none()
    return jpeg if jpeg and jpeg.startswith(b"\xff\xd8") else None
