"""Opens the networks that find and read text.

Until plate models of our own exist these are PP-OCRv4's, as the package `rapidocr-onnxruntime` carries them. Only its
files are used: its code brings shapely, pyclipper and Pillow, and hides the per-character probabilities that repair
and vote need.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_agent.errors import ModelError

Image = npt.NDArray[np.uint8]
"""Height x width x 3, blue green red."""
Floats = npt.NDArray[np.float32]

FINDER = "ch_PP-OCRv4_det_infer.onnx"
READER = "ch_PP-OCRv4_rec_infer.onnx"


class Network:
    """One ONNX file with one input and one output that is used."""

    def __init__(self, file: Path, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # an idle thread must not spin: the box has other work
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exception types share no base and are not public
            raise ModelError(f"{file}: not a model that onnxruntime can open: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def __call__(self, batch: Floats) -> Floats:
        """Give the network's first output for `batch`."""
        return cast(Floats, self._session.run([self._output], {self._input: batch})[0])

    @property
    def notes(self) -> dict[str, str]:
        """What the file says about itself, such as its alphabet."""
        return cast(dict[str, str], self._session.get_modelmeta().custom_metadata_map)


def open_network(name: str, *, threads: int = 1) -> Network:
    """Open one of the package's models. Raises ModelError where it is missing or unreadable."""
    spec: Any = find_spec("rapidocr_onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the plate reader's models are missing: pip install 'island-edge[camera]'")
    file = Path(spec.submodule_search_locations[0]) / "models" / name
    if not file.is_file():
        raise ModelError(f"{file}: missing; install rapidocr-onnxruntime 1.4.4 or newer 1.x, which carries it")
    return Network(file, threads=threads)
