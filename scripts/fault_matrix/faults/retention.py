"""Personal data is deleted when its time is over, and comes once more."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import NullPool, bindparam, create_engine, text

from scripts.fault_matrix.books import read_books
from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, fault
from scripts.fault_matrix.link import GOOD, Spoilt
from scripts.fault_matrix.stage import Stage


def cameras(stage: Stage) -> Sequence[Box]:
    """Boxes that see plates."""
    return [box for box in stage.boxes if box.name.startswith("cam-")]


@fault(cameras)
def delete_plates_that_come_again(camera: Box, moment: Moment) -> None:
    """What is stored, and not confirmed, is deleted: when the box sends it again, nobody must see it any more."""
    stage = moment.stage
    camera.link.spoil(Spoilt(drop=1.0, of="/stored"))
    moment.hold()
    camera.program.kill()
    camera.link.spoil(GOOD)
    books = read_books(stage.database.url)
    stored = {
        row
        for (kind, number), entry in camera.made.read_on().items()
        if kind == "plates" and entry.outbox and books.of(camera.name, entry.outbox, entry.number)[0] == "stored"
        for row in books.sightings.get((camera.name, number), ())
    }
    engine = create_engine(stage.database.url, poolclass=NullPool)
    with engine.begin() as db:
        for table, column in (("alerts", "sighting"), ("sightings", "id")):
            one = text(f"DELETE FROM {table} WHERE {column} = :row").bindparams(bindparam("row"))
            db.execute(one, [{"row": row} for row in stored] or {"row": -1})
    gone = {number for (box, number), rows in books.sightings.items() if box == camera.name and stored & set(rows)}
    stage.deleted |= {(camera.name, number) for number in gone}
    camera.program.start()
