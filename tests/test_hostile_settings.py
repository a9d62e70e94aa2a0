"""No file of settings, no receipt and no command, whatever their bytes, end a program, hold it up or fill its memory.

FUZZ_EXAMPLES sets how many inputs are tried (300 by default).
"""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hostile import DEEP, FUZZ, HUGE, changed
from hypothesis import given
from hypothesis import strategies as st

from collector.settings import read
from edge_agent.calibration import Calibrations
from edge_agent.commands import Commands
from edge_agent.config import load
from edge_agent.contract.events import Calibrate, Command, Stored
from edge_agent.contract.runs import ranges
from edge_agent.contract.yaml_nodes import MAX_BYTES, parse_yaml
from edge_agent.errors import ConfigError
from edge_agent.health import Health

FLEET = Path(__file__).parent.parent / "firmware_configs"
DEVICE = (FLEET / "devices" / "waste-01.yaml").read_text()
SETTINGS = (FLEET / "collector.yaml").read_text()
CPU_S, MEMORY = 6.0, 40_000_000
"""For one input; tracing memory takes most of it."""

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
BOMBS = {
    "laughs": LAUGHS,
    "deep lists": "a: " + "[" * 50_000,
    "deep maps": "a: " + "{a: " * 20_000,
    "deep indents": "".join(f"{' ' * i}a:\n" for i in range(600)),
    "anchor of itself": "a: &a [*a]",
    "merge": "a: &a {b: 1}\nc:\n  <<: *a\n  <<: [*a, *a]\n",
    "huge number": f"health: {{every_s: {'9' * 100_000}}}",
    "huge exponent": "health: {every_s: 1e999999999}",
    "hexadecimal": f"health: {{every_s: 0x{'f' * 100_000}}}",
    "the same key": "a: 1\n" * 40_000,
    "python": "a: !!python/object/apply:os.system ['touch /tmp/pwned']",
    "binary": "a: !!binary aGVsbG8=",
    "set": "a: !!set {x, y}",
    "many documents": "---\n" * 50_000,
    "long key": f"{'k' * 200_000}: 1",
    "long word of numbers and dots": f"a: {'1.' * 100_000}",
    "one quote": 'a: "' + "x" * 200_000,
    "too long": "#" * (MAX_BYTES + 1),
}
PIECES = st.sampled_from(
    ["&a ", "*a", "<<: *a", "!!python/name:os.system ", "- ", ": ", "{", "}", "[", "]", "\t", "\n", "null", "~",
     "1e400", "9" * 40, ".inf", "0x1F", "'", '"', "|", ">", "? ", "---\n", "%YAML 9.9\n", "\x85", "\ufeff", "\x00", "é"]
)  # fmt: skip


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """A real file with pieces put in, lines left out or exchanged."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        how = draw(st.integers(0, 3))
        if how == 0:
            del lines[at]
        elif how == 1:
            lines.insert(at, draw(PIECES) + draw(st.text(max_size=8)))
        else:
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(PIECES) + lines[at][place:]
    return "\n".join(lines)


def measured(began: float) -> None:
    assert time.process_time() - began < CPU_S
    assert tracemalloc.get_traced_memory()[1] < MEMORY


@pytest.fixture(autouse=True)
def traced() -> object:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@FUZZ
@given(edited(DEVICE) | edited(SETTINGS) | st.text(max_size=200), st.booleans())
def test_no_edited_file_ends_a_program(tmp_path_factory: pytest.TempPathFactory, text: str, box: bool) -> None:
    file = tmp_path_factory.getbasetemp() / "waste-01.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    tracemalloc.reset_peak()
    began = time.process_time()
    if box:
        try:
            load(file)
        except ConfigError as error:
            assert "waste-01.yaml" in str(error)
    else:
        _, mistakes = read(file)
        assert all(mistake.message and mistake.line > 0 for mistake in mistakes)
    measured(began)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_and_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / "waste-01.yaml"
    file.write_text(BOMBS[name])
    tracemalloc.reset_peak()
    began = time.process_time()
    with pytest.raises(ConfigError):
        load(file)
    assert read(file)[1], "it is a mistake for the collector too"
    parse_yaml(BOMBS[name].encode(), "x")
    measured(began)
    assert not Path("/tmp/pwned").exists()


RECEIPT = msgspec.msgpack.encode(Stored(outbox=7, runs=(1, 5, 2, 3)))
COMMAND = msgspec.msgpack.encode(Command(id=1, by="minh", order=Calibrate(sensor="ph", seconds=60)))
_decode_stored = msgspec.msgpack.Decoder(Stored).decode


@FUZZ
@given(changed([RECEIPT, COMMAND]) | st.binary(max_size=100))
def test_no_receipt_or_command_ends_the_agent(tmp_path_factory: pytest.TempPathFactory, payload: bytes) -> None:
    began = time.process_time()
    commands = Commands(Calibrations(tmp_path_factory.getbasetemp(), (), Health()), Health())
    commands.obey(payload)
    with suppress(msgspec.MsgspecError, ValueError):  # as the uplink does
        sum(last - first for first, last in ranges(_decode_stored(payload).runs))
    measured(began)


@pytest.mark.parametrize(
    "payload",
    [
        DEEP,
        *HUGE,
        *(RECEIPT[:2] + head for head in HUGE),
        msgspec.msgpack.encode([7, [1, 2**62]]),
        msgspec.msgpack.encode([7, [1, 99_999] * 1000]),
    ],
)
def test_bombs_to_the_agent_cost_little(payload: bytes, tmp_path: Path) -> None:
    began = time.process_time()
    assert Commands(Calibrations(tmp_path, (), Health()), Health()).obey(payload) is None
    with pytest.raises((msgspec.MsgspecError, ValueError, RecursionError)):
        list(ranges(_decode_stored(payload).runs))
    measured(began)
