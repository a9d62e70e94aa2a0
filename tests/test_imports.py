"""Who may import whom, read from every module's own import statements; and what a small box must never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 300

PURE = (
    "edge_agent.camera.plates",
    "edge_agent.station.drivers",
    "edge_agent.station.conversation",
    "edge_agent.station.modbus",
    "edge_agent.station.register_map",
    "edge_agent.station.registers",
    "edge_agent.contract.events",
    "edge_agent.contract.packs",
    "edge_agent.contract.quantities",
    "edge_agent.contract.runs",
    "edge_agent.contract.strict",
    "edge_agent.contract.topics",
    "collector.quality",
    "collector.points",
    "collector.averages.aqi",
    "collector.averages.indices",
    "collector.averages.means",
    "collector.averages.periods",
    "collector.stores.stack",
    "collector.stores.lines",
    "collector.stores.series",
    "collector.regulator.cycles",
    "collector.regulator.files",
)
"""Modules, and packages with all below them, that do no I/O: what they are given is what they know."""
OUTSIDE = {
    *(
        "aiohttp",
        "amqtt",
        "asyncio",
        "concurrent",
        "duckdb",
        "http",
        "influxdb_client",
        "logging.handlers",
        "multiprocessing",
    ),
    *("os", "paho", "select", "selectors", "serial", "shutil", "signal", "socket", "sqlalchemy", "sqlite3", "ssl"),
    *("subprocess", "tempfile", "threading", "time", "urllib"),
}
"""What a pure module has no use for. Its clock is passed in, so `time` is among them."""
CAMERA_ONLY = {"cv2", "onnxruntime", "numpy"}
SOURCES = ("edge_agent.station", "edge_agent.camera", "edge_agent.access_point")


def modules() -> dict[str, Path]:
    found = {}
    for package in ("edge_agent", "collector"):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions; `from a import b` gives `a.b` if that is a module."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


IMPORTS = {name: set(imports(file)) for name, file in MODULES.items()}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def forbidden(importers: tuple[str, ...], imported: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in sorted(others)
        if within(name, *importers) and within(other, *imported) and not within(other, *but)
    ]


def test_the_modules_are_found() -> None:
    assert {"edge_agent.agent", "collector.app", "edge_agent.contract", *PURE} <= set(MODULES)
    assert "edge_agent.contract.packs" in IMPORTS["edge_agent.uplink"]
    assert "edge_agent.station.poll" in IMPORTS["edge_agent.agent"], "imports inside functions count"
    assert forbidden(("edge_agent.uplink",), ("edge_agent.contract.packs",)) == [
        "edge_agent.uplink imports edge_agent.contract.packs"
    ]


def test_the_contract_imports_nothing_else_of_ours() -> None:
    assert forbidden(("edge_agent.contract",), ("edge_agent", "collector"), but=("edge_agent.contract",)) == []


def test_the_collector_imports_of_the_agent_only_the_contract() -> None:
    assert forbidden(("collector",), ("edge_agent",), but=("edge_agent.contract",)) == []


def test_the_agent_never_imports_the_collector_and_neither_imports_scripts_or_tests() -> None:
    assert forbidden(("edge_agent",), ("collector",)) == []
    assert forbidden(("edge_agent", "collector"), ("scripts", "tests")) == []


@pytest.mark.parametrize("source", SOURCES)
def test_the_sources_know_nothing_of_each_other_nor_of_outbox_and_uplink(source: str) -> None:
    others = tuple(other for other in SOURCES if other != source)
    delivery = ("edge_agent.outbox", "edge_agent.outbox_file", "edge_agent.uplink", "edge_agent.link")
    assert forbidden((source,), (*others, *delivery, "edge_agent.config")) == []


def test_only_the_command_line_imports_the_files_that_know_all_parts() -> None:
    for whole, allowed in (("edge_agent.agent", "edge_agent.__main__"), ("collector.app", "collector.__main__")):
        assert [name for name, others in IMPORTS.items() if whole in others] == [allowed]


def test_only_the_files_that_know_all_parts_know_more_than_one() -> None:
    """Settings are light and said in one file; everything else of a part is known to agent.py, and to the commands for
    technicians, who meet one part alone."""
    for name, others in IMPORTS.items():
        known = {source for source in SOURCES for other in others if within(other, source)}
        known_well = {s for s in known if any(within(o, s) and not o.endswith(".settings") for o in others)}
        if name not in tuple(f"edge_agent.{part}" for part in ("agent", "__main__", "command_line", "sensor_commands")):
            assert len(known_well - {s for s in SOURCES if within(name, s)}) == 0, f"{name} knows {known_well}"


@pytest.mark.parametrize("pure", PURE)
def test_pure_modules_do_no_input_or_output(pure: str) -> None:
    assert forbidden((pure,), tuple(OUTSIDE)) == []
    for name, file in MODULES.items():
        if within(name, pure):
            calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
            names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
            assert not names & {"open", "print", "input"}, f"{name} calls {names}"


def test_libraries_for_pictures_are_imported_by_the_camera_alone() -> None:
    assert [
        found for found in forbidden(("edge_agent",), tuple(CAMERA_ONLY)) if not found.startswith("edge_agent.camera")
    ] == []


@pytest.mark.parametrize(
    "entry",
    [
        "edge_agent.agent, edge_agent.station.poll, edge_agent.access_point.watch",
        "edge_agent.agent, edge_agent.config, edge_agent.station.settings, edge_agent.camera.settings",
        "edge_agent.__main__",
    ],
)
def test_a_station_or_access_point_loads_nothing_heavy(entry: str) -> None:
    heavy = [*CAMERA_ONLY, "rich", "aiohttp", "sqlalchemy", "duckdb", "amqtt", "jinja2", "influxdb_client"]
    code = f"import sys\nimport {entry}\nprint(*(name for name in {heavy!r} if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert answer.stdout.split() == []


def test_the_agent_does_not_load_what_paho_never_uses_and_leaves_it_to_others() -> None:
    code = "import sys, edge_agent.link; assert 'email' not in sys.modules; import urllib.request as r; r.urlopen"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    files = [*MODULES.values(), *(ROOT / "scripts").rglob("*.py")]
    assert [file.name for file in files if len(file.read_text().splitlines()) > MAX_LINES] == []
