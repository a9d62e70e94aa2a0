"""Broken variants of the parts, to prove that the matrix finds what is broken; the product has no such switch.

python -m scripts.fault_matrix.broken VARIANT collector|box_program ARGUMENTS
"""

from __future__ import annotations

import runpy
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any


def receipt_before_commit() -> None:
    """The collector confirms what it has not stored yet."""
    from collector.intake import Intake

    store: Callable[..., Awaitable[bool]] = Intake._store

    async def hasty(intake: Intake, client: Any, arrivals: Sequence[Any]) -> bool:
        intake._confirm(client, arrivals)
        return await store(intake, client, arrivals)

    vars_of(Intake, _store=hasty)


def no_ledger() -> None:
    """The collector never asks the ledger what it knows."""
    from collector.ledger import Ledger

    vars_of(Ledger, known=lambda _, packs: [False] * len(packs))


def no_fsync() -> None:
    """The outbox leaves it to the system when what it writes reaches the disk."""
    from edge_agent import outbox_file

    connect: Callable[..., sqlite3.Connection] = outbox_file._connect

    def careless(*arguments: Any) -> sqlite3.Connection:
        db = connect(*arguments)
        db.execute("PRAGMA synchronous=OFF")
        return db

    vars_of(outbox_file, _connect=careless)


VARIANTS: dict[str, Callable[[], None]] = {
    "receipt-before-commit": receipt_before_commit,
    "no-ledger": no_ledger,
    "no-fsync": no_fsync,
}


def vars_of(owner: object, **values: object) -> None:
    """Put something of ours in the place of a part's own."""
    for name, value in values.items():
        setattr(owner, name, value)


if __name__ == "__main__":
    _, variant, program, *arguments = sys.argv
    VARIANTS[variant]()
    module = "collector" if program == "collector" else f"scripts.fault_matrix.{program}"
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
