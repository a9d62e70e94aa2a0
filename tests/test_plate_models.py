"""The models' cards, and that only a file that is what its card says is run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tiny_models
from tiny_models import write_card, write_model

from edge_agent.camera.plates.card import DetectorCard, ReaderCard, read_card
from edge_agent.camera.plates.network import MODELS, open_network
from edge_agent.errors import ModelError


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tiny_models.write_models(tmp_path / "models")


def refused(models: Path, name: str = "reader") -> str:
    type_ = ReaderCard if name == "reader" else DetectorCard
    with pytest.raises(ModelError) as caught:
        open_network(models, name, type_)
    return str(caught.value)


def change(models: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a card again with a change; the file stays as it is."""
    card = msgspec.to_builtins(read_card(models / f"{name}.yaml", ReaderCard if name == "reader" else DetectorCard))
    change(card)
    write_card(models / f"{name}.yaml", card)


def test_a_card_says_everything_and_a_model_that_agrees_runs(models: Path) -> None:
    network, card = open_network(models, "reader", ReaderCard)
    assert card.alphabet == tiny_models.ALPHABET
    assert card.calibration[1] == (0.5, 0.4)
    assert card.accuracy.by_class["car"].right == 0.5
    assert network(np.zeros((3, 64, 160, 3), np.uint8)).shape == (3, 80, 38)
    network, finder_card = open_network(models, "detector", DetectorCard)
    assert finder_card.colours == ("white", "yellow", "blue", "red", "other")
    assert network(np.zeros((1, 64, 96, 3), np.uint8)).shape == (1, 8, 12, 15)


def test_a_card_that_a_program_writes_reads_back_the_same(models: Path) -> None:
    card = read_card(models / "reader.yaml", ReaderCard)
    write_card(models / "again.yaml", msgspec.to_builtins(card))
    assert read_card(models / "again.yaml", ReaderCard) == card


# Files that are not what their card says.


@pytest.mark.parametrize("place", [0, 40, -1], ids=["first byte", "inside", "last byte"])
def test_a_flipped_bit_is_refused(models: Path, place: int) -> None:
    file = models / "reader.onnx"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    said = refused(models)
    assert said.startswith(f"{file}: sha256 is {hashlib.sha256(data).hexdigest()}, its card says")
    assert "install island-edge again" in said


@pytest.mark.parametrize("length", [0, 1, 500])
def test_a_truncated_file_is_refused(models: Path, length: int) -> None:
    file = models / "detector.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[:length])
    assert f"{file}: {length} bytes, its card says {len(whole)};" in refused(models, "detector")


def test_a_file_that_goes_on_is_refused_without_reading_it_all(models: Path) -> None:
    file = models / "reader.onnx"
    size = file.stat().st_size
    with file.open("ab") as opened:
        opened.truncate(1 << 33)  # sparse; read whole it would not fit into a box's memory
    assert f"longer than {size} bytes, its card says {size};" in refused(models)


def test_a_missing_file_or_card_is_named(models: Path) -> None:
    (models / "reader.onnx").unlink()
    assert f"{models / 'reader.onnx'}: the model cannot be read: No such file" in refused(models)
    (models / "reader.yaml").unlink()
    assert f"{models / 'reader.yaml'}: the model's card is missing" in refused(models)
    assert "detector.yaml: the model's card is missing" in refused(models / "nowhere", "detector")


def test_a_file_that_is_no_model_is_refused_though_its_card_agrees(models: Path) -> None:
    for data in (b"", b"no model", b"\x08\x08" * 400):
        write_model(models, "reader", data or b"\0", tiny_models.reader_card())
        assert "reader.onnx: not a model that onnxruntime" in refused(models)


# Graphs that are not what their card says.


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        (lambda card: card["input"].update(name="frames"), "its input is crops tensor(uint8)"),
        (lambda card: card["output"].update(name="letters"), "its output is steps tensor(float)"),
    ],
)
def test_a_graph_with_other_names_is_refused(models: Path, change_: Callable[[Any], object], said: str) -> None:
    change(models, "reader", change_)
    assert said in refused(models)


def test_a_graph_of_another_alphabet_is_refused(models: Path) -> None:
    card = tiny_models.reader_card()
    card["alphabet"] = card["alphabet"].replace("Đ", "")
    card["output"]["shape"] = ["plates", 80, 37]
    write_model(models, "reader", tiny_models.reader(), card)
    said = refused(models)
    assert "its output is steps tensor(float) ['plates', 80, 38]" in said
    assert "its card says steps tensor(float) ['plates', 80, 37]" in said


def test_a_graph_of_fixed_size_is_refused_where_the_card_says_any(models: Path) -> None:
    write_model(models, "detector", tiny_models.finder(height=480), tiny_models.finder_card())
    assert "its input is frame tensor(uint8) [1, 480, 'width', 3]" in refused(models, "detector")


# Cards that are wrong: the line and what to do.


def card_mistake(models: Path, change: Callable[[dict[str, Any]], object], name: str = "reader") -> str:
    card = tiny_models.reader_card() if name == "reader" else tiny_models.finder_card()
    card |= {"file": f"{name}.onnx", "sha256": 64 * "0", "bytes": 1}
    change(card)
    write_card(models / f"{name}.yaml", card)
    return refused(models, name)


def test_an_alphabet_of_the_wrong_size_is_named_with_its_line(models: Path) -> None:
    said = card_mistake(models, lambda card: card.update(alphabet="ABCDEFGHKL"))
    lines = (models / "reader.yaml").read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("output:"))
    assert f"reader.yaml:{number}:" in said
    assert "output is float32 ['plates', 80, 38]; this program needs float32 [any, 80, 11]" in said


@pytest.mark.parametrize(
    ("change_", "said"),
    [
        (lambda card: card.update(alphabet=tiny_models.ALPHABET[:-1] + "A"), "alphabet has a character twice"),
        (lambda card: card.update(calibration=[[0, 0], [0, 1]]), "calibration does not rise from [0.0, 0.0]"),
        (lambda card: card.update(calibration=[[0, 0.5], [1, 0.4]]), "calibration does not rise"),
        (lambda card: card.update(calibration=[[0, 0]]), "expected at least 2 entries, got 1"),
        (lambda card: card.update(calibration=[[0, 0], [1, 1.5]]), "calibration[1][1]: expected"),
        (lambda card: card["input"].update(shape=["plates", 32, 96, 3]), "this program needs uint8 [any, 64, 160, 3]"),
        (lambda card: card["input"].update(shape=[1, 64, 160, 3]), "this program needs uint8 [any, 64, 160, 3]"),
        (lambda card: card["input"].update(type="float32"), "this program needs uint8"),
        (lambda card: card.update(sha256="12AB"), "sha256: expected"),
        (lambda card: card.update(file="../elsewhere/reader.onnx"), "file: expected"),
        (lambda card: card.update(bytes=0), "bytes: expected"),
        (lambda card: card.update(licens="MIT"), "unknown key 'licens'; did you mean 'licence'?"),
        (lambda card: card.pop("command"), "missing key 'command'; add `command: <text"),
        (lambda card: card["accuracy"]["all"].update(right=1.2), "accuracy.all.right: expected"),
    ],
)
def test_a_mistake_in_a_card_is_named(models: Path, change_: Callable[[Any], object], said: str) -> None:
    assert said in card_mistake(models, change_)


def test_colours_that_are_not_those_of_the_output_are_named(models: Path) -> None:
    said = card_mistake(models, lambda card: card.update(colours=["white", "yellow"]), "detector")
    assert "this program needs float32 [1, any, any, 12]" in said
    said = card_mistake(models, lambda card: card["colours"].__setitem__(4, "green"), "detector")
    assert "colours[4]: expected" in said


def test_all_mistakes_of_a_card_are_named_at_once(models: Path) -> None:
    said = card_mistake(models, lambda card: card.update(bytes=-1, seed="one", licence=""))
    assert [line.split(": ")[1] for line in said.splitlines()] == ["seed", "licence", "bytes"]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"name: [", b"- a list", b"name: x\n" * 40_000])
def test_a_card_of_any_bytes_is_refused_with_its_name(models: Path, data: bytes) -> None:
    (models / "reader.yaml").write_bytes(data)
    assert "reader.yaml:1:" in refused(models).replace("reader.yaml:2:", "reader.yaml:1:")


def test_the_shipped_models_stand_at_the_top_of_the_repository() -> None:
    assert MODELS.resolve() == Path(__file__).parent.parent / "models"
