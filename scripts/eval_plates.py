#!/usr/bin/env python3
"""Measure how well plates are read, on photos whose plates are known; RapidOCR beside ours if wanted.

    scripts/eval_plates.py ../shared/plates/labels.csv --part check --peer rapidocr

Prints how many named plates are read exactly, characters, plates found, confidence beside what was right, false plates
in photos without plates, milliseconds of one thread. What a photo of many vehicles can say of one named plate, and how
pictures without plates are made, stands in scripts/plate_evaluation/score.py and without_plates.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/eval_plates.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path, metavar="LABELS.csv", help="the photos stand beside it")
    parser.add_argument("--part", choices=("check", "train", "all"), default="check")
    parser.add_argument("--kind", choices=("scene", "near"), default="scene", help="whole photos, or cuts")
    parser.add_argument("--folder", default="", help="photos of this folder only, such as street")
    parser.add_argument("--first", type=int, metavar="N", help="the first photos only")
    parser.add_argument("--peer", choices=("rapidocr",), help="measured on the same photos in the same run")
    parser.add_argument("--without-plates", type=int, metavar="N", default=400, help="0: none (default: %(default)s)")
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help="one line a photo")
    parser.add_argument(
        "--wrong", type=Path, metavar="OUT.png", help="a sheet of the photos that were not read exactly"
    )
    given = parser.parse_args()
    if given.first is not None and given.first < 1:
        parser.error("--first takes at least 1")
    if given.without_plates < 0:
        parser.error("--without-plates takes 0 or more")
    from scripts.plate_evaluation.evaluation import Asked, Unusable, evaluate

    try:
        evaluate(Asked(**vars(given)))
    except Unusable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _with_our_python() -> None:
    """Go on in the project's own environment, whichever Python came first."""
    sys.path[0] = str(ROOT)
    if Path(sys.prefix).resolve() == (ROOT / ".venv").resolve():
        return
    if not PYTHON.exists():
        sys.exit(f"{PYTHON} is missing: run {ROOT / 'scripts' / 'check'} once, which makes it")
    os.execv(PYTHON, [str(PYTHON), *sys.argv])


if __name__ == "__main__":
    if not __package__:  # run as a file
        _with_our_python()
    sys.exit(main())
