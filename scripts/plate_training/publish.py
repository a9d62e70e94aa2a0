"""Trained networks -> models/: the files, measured as float and as int8, and the cards that describe them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_agent.camera.plates.card import Data, DetectorCard, ReaderCard, Round, Tensor
from edge_agent.camera.plates.detector import padded
from edge_agent.camera.plates.rectify import HEIGHT, WIDTH, Image, crop
from edge_agent.camera.plates.steps import STEPS
from scripts.plate_training.examples import Example
from scripts.plate_training.export import export_finder, export_reader
from scripts.plate_training.judge import Judged, accuracy, calibration, judge
from scripts.plate_training.networks import ALPHABET, CELL, COLOURS, Finder, Reader

LICENCE = "the project's own; the photos that it was trained on have no licence to be passed on and are not contained"
LIMITS = {
    "detector": "Vietnamese plates of about 18 to 200 pixels in the frame that it is shown; not other countries' "
    "plates, not vehicles or people. A find is no proof of a plate: what it reads decides.",
    "reader": "Vietnamese plates cut out by rectify.py. It gives a text for nearly any picture: confidence and grammar "
    "decide. No person may be accused on a reading alone; look at the picture.",
}
NO_CALIBRATION = ((0.0, 0.0), (1.0, 1.0))


class Making(msgspec.Struct):
    """What the training knows of its own models."""

    trained_on: tuple[Data, ...]
    command: str
    seed: int
    curves: dict[str, tuple[Round, ...]]


def publish(
    networks: tuple[Finder, Reader], held: Sequence[Example], known: Sequence[Example], making: Making, models: Path
) -> None:
    """Write models and cards; of float and int8 that which reads more held-out plates, int8 where both read as many."""
    finder, reader = networks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_finder(finder, folder / "detector.onnx")
        export_reader(reader, folder / "reader.onnx")
        judged = _judged(folder, held, making)
        for model, batches in (("detector", _frames(known)), ("reader", _crops(known))):
            kept = folder / f"{model}.float"
            shutil.copy(folder / f"{model}.onnx", kept)
            _to_int8(kept, folder / f"{model}.onnx", "frame" if model == "detector" else "crops", batches)
            again = _judged(folder, held, making)
            print(f"{model}: {_right(judged):.4f} read exactly as float, {_right(again):.4f} as int8")
            if _right(again) < _right(judged):
                shutil.copy(kept, folder / f"{model}.onnx")
            else:
                judged = again
        _write_cards(folder, making, calibration([(one.sure, one.right) for one in judged if one.sure]), judged)
        models.mkdir(exist_ok=True)
        for file in ("detector.onnx", "detector.yaml", "reader.onnx", "reader.yaml"):
            shutil.copy(folder / file, models / file)


def _judged(folder: Path, held: Sequence[Example], making: Making) -> list[Judged]:
    """Judge the two files of a folder, with the network's own measure of sureness."""
    _write_cards(folder, making, NO_CALIBRATION, [])
    return judge(folder, held)


def _right(judged: Sequence[Judged]) -> float:
    return sum(one.right for one in judged) / max(1, len(judged))


def _write_cards(
    folder: Path, making: Making, table: tuple[tuple[float, float], ...], judged: Sequence[Judged]
) -> None:
    on = "photos that were held out, whole where the whole is known"
    common: dict[str, Any] = {
        "trained_on": making.trained_on, "command": making.command, "seed": making.seed, "licence": LICENCE
    }  # fmt: skip
    found = accuracy(judged, "the plate is found with more than half of its place", on, lambda one: one.found)
    read = accuracy(judged, "every character of the found and read plate", on, lambda one: one.right)
    detector = DetectorCard(
        name="Vietnamese plates in a frame", **_file(folder / "detector.onnx"),
        input=Tensor("frame", "uint8", (1, "height", "width", 3),
                     "blue green red; height and width are multiples of 32, grey 114 on the right and below"),
        output=Tensor("cells", "float32", (1, "height / 8", "width / 8", CELL),
                      "score, 4 corners of the text from the cell's middle in units of 16 px, two lines, colours"),
        accuracy=found, curve=making.curves["detector"], limits=LIMITS["detector"], colours=COLOURS, **common,
    )  # fmt: skip
    reader = ReaderCard(
        name="Text of a Vietnamese plate", **_file(folder / "reader.onnx"),
        input=Tensor("crops", "uint8", ("plates", HEIGHT, WIDTH, 3), "blue green red, cut out by rectify.py"),
        output=Tensor("steps", "float32", ("plates", 2 * STEPS, 1 + len(ALPHABET)),
                      "probabilities: 40 steps of the upper line, 40 of the lower; class 0 is none"),
        accuracy=read, curve=making.curves["reader"], limits=LIMITS["reader"], alphabet=ALPHABET, calibration=table,
        **common,
    )  # fmt: skip
    for name, written in (("detector", detector), ("reader", reader)):
        text = yaml.dump(msgspec.to_builtins(written), Dumper=_Quoting, sort_keys=False, allow_unicode=True, width=120)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _file(model: Path) -> dict[str, Any]:
    data = model.read_bytes()
    return {"file": model.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


class _Quoting(yaml.SafeDumper):
    """Quotes what some YAML readers take for a number: a sum of digits, the alphabet."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if text[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Quoting.add_representer(str, _quoted)


class _Batches(CalibrationDataReader):
    def __init__(self, name: str, batches: Iterator[Image]) -> None:
        self._name, self._batches = name, batches

    def get_next(self) -> dict[str, Image] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _to_int8(source: Path, goal: Path, name: str, batches: Iterator[Image]) -> None:
    """Write a file whose convolutions calculate with bytes, their ranges taken from `batches`."""
    ready = source.with_suffix(".ready")
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready), str(goal), _Batches(name, batches), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv"], activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def _frames(known: Sequence[Example]) -> Iterator[Image]:
    whole = [example.image for example in known if min(example.image.shape[:2]) > 250][:60]
    return (padded(image)[None] for image in whole)


def _crops(known: Sequence[Example]) -> Iterator[Image]:
    plates = [example for example in known if example.name.startswith("street")][:: max(1, len(known) // 300)]
    return (crop(plate.image, plate.quad, len(plate.lines) == 2)[None] for plate in plates)
