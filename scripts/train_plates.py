#!/usr/bin/env python3
"""Trains the plate models from labelled photos: `scripts/train_plates.py all`, or one step of it.

    teach     what a published OCR finds in the photos: how the known texts lie      about 15 minutes on two cores
    early     the first 3,000 steps of both models                                   1 hour
    own       photos without a box label themselves, by these                        5 minutes
    finder    the rest of the detector's training                                    1.5 hours on one core
    reader    the rest of the reader's training                                      2 hours on one core
    publish   models/*.onnx and their cards, measured on plates that were held out   2 minutes

Each step goes on where it was interrupted; what it knows lies in --work. The photos and their labels.csv are found by
PLATE_PHOTOS. Needs the extra `training`: pip install -e '.[camera,training]'. On a GPU
(--device cuda --workers 8) it has not been tried.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.plate_training.pipeline import STEPS, Settings, run


def main() -> None:
    """Run the steps asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=[*STEPS, "all"])
    parser.add_argument("--photos", type=Path, default=Path(os.environ.get("PLATE_PHOTOS", "../shared/plates")))
    parser.add_argument("--work", type=Path, default=Path("training"), help="checkpoints and curves (not committed)")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--finder-steps", type=int, default=14750)
    parser.add_argument("--reader-steps", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="cores for the network")
    parser.add_argument("--workers", type=int, default=0, help="processes that make examples beside the network")
    options = parser.parse_args()
    if not (options.photos / "labels.csv").is_file():
        parser.error(f"{options.photos}/labels.csv is missing: set PLATE_PHOTOS to the folder of the labelled photos")
    settings = Settings(**{name: value for name, value in vars(options).items() if name != "step"})
    for step in STEPS if options.step == "all" else (options.step,):
        run(step, settings)


if __name__ == "__main__":
    main()
