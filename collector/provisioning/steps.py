"""What an InfluxDB needs: steps that know whether they are done, so that a second run changes nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from collector.errors import Failure
from edge_agent.contract.quantities import QUANTITIES

State = Literal["missing", "different", "there"]
OFFICER = "officer"
"""The officers' account: it reads the measurements and nothing else."""
FIVE_MINUTES = "five_minutes"
"""Where the means stand that the server makes by itself; those of an hour and more come from the collector."""
_FIRST_OF_WATER = 40
_NO_MEAN = frozenset({"wind_direction", "noise", "rain"})
"""Angles, decibels and sums, which have no plain mean."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be there."""

    what: str
    state: State
    do: Callable[[], object]


def carry_out(steps: Iterable[Step], *, show: bool) -> Iterator[str]:
    """Do what is not done, in order; gives a line for each step. With `show` nothing is changed."""
    for step in steps:
        if step.state == "there":
            yield f"there already  {step.what}"
            continue
        verb = "made" if step.state == "missing" else "changed"
        if show:
            yield f"not yet {verb}  {step.what}"
        else:
            step.do()
            yield f"{verb:<13}  {step.what}"


def averaged(medium: str) -> list[str]:
    """The quantities of a medium that have a plain mean."""
    of_air = medium == "air"
    return [q.name for q in QUANTITIES if (q.number < _FIRST_OF_WATER) == of_air and q.name not in _NO_MEAN]


def secret_in(file: Path) -> str:
    """A secret that is told to nobody but this file; one that is there is kept."""
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(24))
    try:
        return file.read_text().strip()
    except OSError as error:
        raise _unusable(file, error) from error


def write_secret(file: Path, secret: str) -> None:
    """Write a secret into a file that only its owner may read; an older one of that name is replaced."""
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secret + "\n")
    except OSError as error:
        raise _unusable(file, error) from error


def _unusable(file: Path, error: OSError) -> Failure:
    return Failure(f"{file}: {error.strerror}\n  give another place with --officer-file")
