"""What the ledger says of all boxes together."""

from __future__ import annotations

from sqlalchemy import Connection, text

_TOTALS = text(
    "SELECT coalesce(sum(highest), 0), coalesce(sum(known), 0), "
    "(SELECT coalesce(sum(last - first + 1), 0) FROM ledger_lost), "
    "coalesce(sum(CASE WHEN g.outbox IS NULL THEN 0 ELSE highest - known END), 0) FROM "
    "(SELECT device, outbox, max(last) AS highest, sum(last - first + 1) AS known FROM ledger_runs "
    "GROUP BY device, outbox) AS o LEFT JOIN ledger_gone g ON g.device = o.device AND g.outbox = o.outbox"
)
_TOLD = text("SELECT kind, reason, sum(last - first + 1) FROM ledger_lost GROUP BY kind, reason")
_GONE = text(
    "SELECT g.reason, sum(highest - known) FROM (SELECT device, outbox, max(last) AS highest, "
    "sum(last - first + 1) AS known FROM ledger_runs GROUP BY device, outbox) AS o "
    "JOIN ledger_gone g ON g.device = o.device AND g.outbox = o.outbox WHERE highest > known GROUP BY g.reason"
)


def totals(db: Connection) -> dict[str, int]:
    """How many events are stored, lost and missing."""
    highest, known, lost, gone = db.execute(_TOTALS).one()
    return {"stored": int(known - lost), "lost": int(lost + gone), "missing": int(highest - known - gone)}


def lost_by(db: Connection) -> dict[tuple[str, str], int]:
    """How many events are lost, by kind (empty where nobody knows) and reason."""
    found = {(kind, reason): int(n) for kind, reason, n in db.execute(_TOLD)}
    return found | {("", reason): int(n) for reason, n in db.execute(_GONE)}
