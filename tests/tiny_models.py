"""Two tiny networks in place of the trained ones, whose answers are painted into a frame pixel by pixel.

The finder looks at the top left pixel of each cell: blue is its score and green how likely two lines are, of 255. A
cell's corners make a plate whose crop is 160 x 64 pixels of the frame around the cell's middle, so that nothing is
scaled; its colour is yellow. The reader looks at every fourth pixel of rows 16 and 48 of a crop: blue is the
number of the class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge_agent.camera.plates.cells import STRIDE, UNIT
from edge_agent.camera.plates.rectify import HEIGHT, WIDTH, Image, place

ALPHABET = "0123456789ABCDĐEFGHIJKLMNOPQRSTUVWXYZ"
COLOURS = ["white", "yellow", "blue", "red", "other"]
SURE = 0.9999
"""What the reader gives to the class of every step."""

UINT8, INT64, FLOAT = 2, 7, 1
CODES = {"uint8": UINT8, "float32": FLOAT, "int64": INT64}
"""ONNX's numbers for types."""
Shape = Sequence[int | str]


def write_models(folder: Path) -> Path:
    """Write both models and their cards; the folder."""
    folder.mkdir(exist_ok=True)
    for name, model, card in (("detector", finder(), finder_card()), ("reader", reader(), reader_card())):
        write_model(folder, name, model, card)
    return folder


def write_model(folder: Path, name: str, model: bytes, card: dict[str, Any]) -> None:
    """Write a model, and its card with what the model's file says."""
    (folder / f"{name}.onnx").write_bytes(model)
    card = {**card, "file": f"{name}.onnx", "sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)}
    write_card(folder / f"{name}.yaml", card)


def write_card(file: Path, card: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), encoding="utf-8")


def paint(frame: Image, column: int, row: int, upper: str, lower: str = "", *, score: int = 255) -> None:
    """Paint a plate around the middle of a cell; every character takes two steps, the next one is left free."""
    left, top = STRIDE * column + STRIDE // 2 - WIDTH // 2, STRIDE * row + STRIDE // 2 - HEIGHT // 2
    for text, at in ((upper, top + 16), (lower, top + 48)):
        for number, character in enumerate(text):
            start = left + 12 * number + 8
            frame[at, start : start + 8, 0] = ALPHABET.index(character) + 1
    frame[STRIDE * row, STRIDE * column, :2] = (score, 255 if lower else 0)


def finder(height: int | str = "height") -> bytes:
    """The finder as an ONNX file, for frames of any height or of one."""
    weights = np.zeros((3, 15), np.float32)
    weights[0, 0] = weights[1, 9] = 1 / 255
    always = np.zeros(15, np.float32)
    always[1:9] = ((place(False) - (WIDTH / 2, HEIGHT / 2)) / UNIT).ravel()
    weights[1, 1:9] = (place(True) - place(False)).ravel() / UNIT / 255
    always[11] = 1.0
    nodes = [
        _node("Slice", ["frame", "starts", "ends", "axes", "steps"], "seen"),
        _node("Cast", ["seen"], "numbers", to=FLOAT),
        _node("MatMul", ["numbers", "weights"], "weighed"),
        _node("Add", ["weighed", "always"], "cells"),
    ]
    constants = {
        "starts": np.array([0, 0]),
        "ends": np.array([1 << 20, 1 << 20]),
        "axes": np.array([1, 2]),
        "steps": np.array([STRIDE, STRIDE]),
        "weights": weights,
        "always": always,
    }
    end = ("frame", "uint8", [1, height, "width", 3])
    return _model(nodes, constants, [end], [("cells", "float32", [1, "rows", "columns", 15])])


def reader() -> bytes:
    """The reader as an ONNX file."""
    classes = 1 + len(ALPHABET)
    nodes = [
        _node("Slice", ["crops", "starts", "ends", "axes", "steps_"], "seen"),
        _node("Cast", ["seen"], "numbers", to=INT64),
        _node("Reshape", ["numbers", "shape"], "classes"),
        _node("OneHot", ["classes", "depth", "values"], "steps"),
    ]
    constants = {
        "starts": np.array([16, 2, 0]),
        "ends": np.array([HEIGHT, WIDTH, 1]),
        "axes": np.array([1, 2, 3]),
        "steps_": np.array([32, 4, 1]),
        "shape": np.array([-1, 80]),
        "depth": np.array(classes),
        "values": np.array([(1 - SURE) / (classes - 1), SURE], np.float32),
    }
    end = ("crops", "uint8", ["plates", HEIGHT, WIDTH, 3])
    return _model(nodes, constants, [end], [("steps", "float32", ["plates", 80, classes])])


def finder_card() -> dict[str, Any]:
    """Its card, but for what the file says."""
    return {
        **_card("detector"),
        "input": _tensor("frame", "uint8", [1, "height", "width", 3]),
        "output": _tensor("cells", "float32", [1, "height / 8", "width / 8", 15]),
        "colours": list(COLOURS),
    }


def reader_card() -> dict[str, Any]:
    """Its card, but for what the file says."""
    return {
        **_card("reader"),
        "input": _tensor("crops", "uint8", ["plates", HEIGHT, WIDTH, 3]),
        "output": _tensor("steps", "float32", ["plates", 80, 38]),
        "alphabet": ALPHABET,
        "calibration": [[0.0, 0.0], [0.5, 0.4], [1.0, 0.98]],
    }


def _card(name: str) -> dict[str, Any]:
    measured = {"count": 10, "right": 0.5}
    groups = {"by_class": {"car": measured}, "by_layout": {"one": measured}, "by_colour": {}, "by_width": {}}
    return {
        "name": name,
        "trained_on": [{"what": "nothing: it is written by hand", "count": 1}],
        "command": "none",
        "seed": 1,
        "accuracy": {"on": "nothing", "right": "nothing", "all": measured, **groups},
        "curve": [{"round": 0, "right": 0.0}],
        "licence": "as the tests",
        "limits": "reads painted numbers only",
    }


def _tensor(name: str, kind: str, shape: Shape) -> dict[str, Any]:
    return {"name": name, "type": kind, "shape": list(shape), "meaning": "see tests/tiny_models.py"}


# ONNX is protocol buffers: fields of a number and a value.


def _model(
    nodes: Iterable[bytes],
    constants: dict[str, np.ndarray],
    inputs: Iterable[tuple[str, str, Shape]],
    outputs: Iterable[tuple[str, str, Shape]],
) -> bytes:
    graph = [_field(1, node) for node in nodes] + [_field(2, "tiny")]
    for name, array in constants.items():
        lengths = b"".join(_field(1, length) for length in array.shape)
        tensor = lengths + _field(2, CODES[str(array.dtype)]) + _field(8, name) + _field(9, array.tobytes())
        graph.append(_field(5, tensor))
    graph += [_field(11, _end(*end)) for end in inputs] + [_field(12, _end(*end)) for end in outputs]
    return _field(1, 8) + _field(8, _field(1, "") + _field(2, 13)) + _field(7, b"".join(graph))


def _node(operation: str, inputs: Iterable[str], output: str, **numbers: int) -> bytes:
    attributes = [_field(5, _field(1, name) + _field(3, number) + _field(20, 2)) for name, number in numbers.items()]
    ends = b"".join(_field(1, name) for name in inputs) + _field(2, output)
    return ends + _field(4, operation) + b"".join(attributes)


def _end(name: str, kind: str, shape: Shape) -> bytes:
    lengths = b"".join(_field(1, _field(1 if isinstance(length, int) else 2, length)) for length in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, CODES[kind]) + _field(2, lengths)))


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])
