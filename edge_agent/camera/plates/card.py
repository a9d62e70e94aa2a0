"""What the card of a model says: the file that it describes, what goes in and comes out, how good it is and of what.

A card is YAML beside its model, `detector.yaml` beside `detector.onnx`. It is read as strictly as a configuration: a
mistake is named with its line and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from edge_agent.camera.plates.cells import COLOURS, DetectorColour
from edge_agent.camera.plates.rectify import HEIGHT, WIDTH
from edge_agent.camera.plates.steps import LINES, STEPS
from edge_agent.contract.strict import build
from edge_agent.contract.yaml_nodes import read_yaml
from edge_agent.errors import ModelError

CHANNELS = 3

Text = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes into a network or comes out of it."""

    name: Text
    type: Literal["uint8", "float32"]
    shape: Annotated[tuple[int | str, ...], Meta(description="Lengths; a word for one that may be any")]
    meaning: Text


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some of what a model has learnt from."""

    what: Text
    count: Annotated[int, Meta(ge=1)]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many examples were judged, and the share that was right."""

    count: Annotated[int, Meta(ge=0)]
    right: Share


class Accuracy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good a model is on examples that it has not learnt from."""

    on: Annotated[Text, Meta(description="The examples")]
    right: Annotated[Text, Meta(description="What counts as right")]
    all: Measured
    by_class: dict[str, Measured]
    by_layout: dict[str, Measured]
    by_colour: dict[str, Measured]
    by_width: Annotated[dict[str, Measured], Meta(description="Width of the plate's text in pixels")]


class Round(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A round of training, and the share that was right after it."""

    round: Annotated[int, Meta(ge=0)]
    right: Share


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the cards of all models say."""

    name: Text
    file: Annotated[str, Meta(pattern=r"^[a-z0-9_-]+\.onnx$", description="The model, in the card's own folder")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits, as sha256sum says")]
    bytes: Annotated[int, Meta(ge=1)]
    input: Tensor
    output: Tensor
    trained_on: tuple[Data, ...]
    command: Annotated[Text, Meta(description="What makes this model again")]
    seed: int
    accuracy: Accuracy
    curve: tuple[Round, ...]
    licence: Annotated[Text, Meta(description="Of the weights")]
    limits: Annotated[Text, Meta(description="What the model is not for, and what it cannot do")]


class DetectorCard(Card, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card of the network that finds plates."""

    colours: tuple[DetectorColour, ...]

    def __post_init__(self) -> None:
        _expect("input", self.input, "uint8", (1, None, None, CHANNELS))
        _expect("output", self.output, "float32", (1, None, None, COLOURS.start + len(self.colours)))


class ReaderCard(Card, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card of the network that reads them."""

    alphabet: Annotated[Text, Meta(description="The characters in the order of the network's classes 1, 2, 3 ...")]
    calibration: Annotated[
        tuple[tuple[Share, Share], ...],
        Meta(
            min_length=2,
            description="Rising pairs: the finder's score times the probability of the whole text; share right there",
        ),
    ]

    def __post_init__(self) -> None:
        if len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError("alphabet has a character twice")
        for lower, higher in zip(self.calibration, self.calibration[1:], strict=False):
            if not (lower[0] < higher[0] and lower[1] <= higher[1]):
                raise ValueError(f"calibration does not rise from {list(lower)} to {list(higher)}")
        _expect("input", self.input, "uint8", (None, HEIGHT, WIDTH, CHANNELS))
        # one class more than characters, for none
        _expect("output", self.output, "float32", (None, LINES * STEPS, 1 + len(self.alphabet)))


AnyCard = TypeVar("AnyCard", bound=Card)


def read_card(file: Path, type_: type[AnyCard]) -> AnyCard:
    """Read a card. Raises ModelError that names every mistake with its line and what to do."""
    if not file.is_file():
        raise ModelError(f"{file}: the model's card is missing; install island-edge again")
    node, mistakes = read_yaml(file)
    card = None
    if node is not None:
        card, wrong = build(node, type_)
        mistakes = [*mistakes, *wrong]
    if card is None or mistakes:
        said = (f"{mistake}; {mistake.hint}" if mistake.hint else str(mistake) for mistake in mistakes)
        raise ModelError("\n".join(said))
    return card


def _expect(key: str, given: Tensor, kind: str, lengths: tuple[int | None, ...]) -> None:
    """Raise ValueError where a card's tensor is not what this program feeds or takes; None: any length, as a word."""
    said = tuple(length if isinstance(length, int) else None for length in given.shape)
    if given.type != kind or said != lengths:
        wanted = ", ".join("any" if length is None else str(length) for length in lengths)
        raise ValueError(f"{key} is {given.type} {list(given.shape)}; this program needs {kind} [{wanted}]")
