"""Opens the networks: only a file that is what its card says is given to the runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_agent.camera.plates.card import AnyCard, Card, Tensor, read_card
from edge_agent.camera.plates.rectify import Image
from edge_agent.errors import ModelError

Floats = npt.NDArray[np.float32]

MODELS = Path(__file__).parent / "models"
"""The models that are shipped; a link to the folder of that name at the top of the repository."""
TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
CURE = "install island-edge again, or train anew and let the training write the card"


class Network:
    """A network with one input and one output, both as its card says."""

    def __init__(self, card: Card, file: Path, *, threads: int) -> None:
        """Raises ModelError."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures are raised, not printed
        # an idle thread must not spin: the box has other work; patterns of memory for every size of frame cost 50 MB
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False
        data = _verified(card, file)
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exception types share no base and are not public
            raise ModelError(f"{file}: not a model that onnxruntime {ort.__version__} can open: {error}") from error
        _compare(file, "input", card.input, self._session.get_inputs())
        _compare(file, "output", card.output, self._session.get_outputs())
        self._input, self._output = card.input.name, card.output.name

    def __call__(self, batch: Image) -> Floats:
        """Give the network's answer to `batch`, of the shape that the card says."""
        return cast(Floats, self._session.run([self._output], {self._input: batch})[0])


def open_network(models: Path, name: str, type_: type[AnyCard], *, threads: int = 1) -> tuple[Network, AnyCard]:
    """Open the model that `<name>.yaml` in the folder `models` describes. Raises ModelError."""
    card = read_card(models / f"{name}.yaml", type_)
    return Network(card, models / card.file, threads=threads), card


def _verified(card: Card, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(card.bytes + 1)
    except OSError as error:
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}; {CURE}") from error
    if len(data) != card.bytes:
        size = f"longer than {card.bytes}" if len(data) > card.bytes else f"{len(data)}"
        raise ModelError(f"{file}: {size} bytes, its card says {card.bytes}; {CURE}")
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise ModelError(f"{file}: sha256 is {found}, its card says {card.sha256}; {CURE}")
    return data


def _compare(file: Path, what: str, said: Tensor, found: list[Any]) -> None:
    """Compare an end of the graph with the card; a length that the card leaves open must be open in the graph."""
    if len(found) != 1:
        raise ModelError(f"{file}: {len(found)} {what}s, its card says one; {CURE}")
    (end,) = found
    alike = len(end.shape) == len(said.shape) and all(
        length == wanted if isinstance(wanted, int) else not isinstance(length, int)
        for length, wanted in zip(end.shape, said.shape, strict=False)
    )
    if end.name != said.name or end.type != TYPES[said.type] or not alike:
        is_, says = f"{end.name} {end.type} {end.shape}", f"{said.name} {TYPES[said.type]} {list(said.shape)}"
        raise ModelError(f"{file}: its {what} is {is_}, its card says {says}; {CURE}")
