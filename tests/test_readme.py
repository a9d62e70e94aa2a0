"""What the README and ARCHITECTURE say must be so: commands exist, files exist, the query runs."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest

from collector.__main__ import main as collector
from collector.points import Frame
from collector.stores.duckdb import DuckStore
from edge_agent.__main__ import main as edge_agent

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
PROGRAMS = {"edge-agent": edge_agent, "collector": collector}


def commands() -> list[tuple[str, ...]]:
    """Every command in the README's code spans: the program and its plain words."""
    found = set()
    for program, rest in re.findall(r"`(edge-agent|collector) ([^`]+)`", README):
        words = []
        for word in rest.split():
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                found |= {(program, *words, choice) for choice in word.split("\\|") if re.fullmatch("[a-z]+", choice)}
                break
            words.append(word)
        found.add((program, *words))
    return sorted(found)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[command[0]]([*command[1:], "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_all_commands_of_the_programs_are_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    named = {command[:2] for command in commands()}
    for program, main in PROGRAMS.items():
        with pytest.raises(SystemExit):
            main(["--help"])
        offered = re.findall(r"^    ([a-z][a-z-]+)\s", capsys.readouterr().out, re.MULTILINE)
        assert offered
        assert {(program, name) for name in offered} <= named


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_]+/[A-Za-z0-9_/.-]+)`", README + ARCHITECTURE))))
def test_every_file_that_is_named_exists(path: str) -> None:
    homes = (ROOT, ROOT / "edge_agent", ROOT / "collector", ROOT / "firmware_configs", ROOT / "edge_agent/contract")
    assert any((home / path).exists() for home in homes), path


def test_the_query_for_officers_runs(tmp_path: Path) -> None:
    at = np.array([1_795_000_000_000], np.int64)
    fields = {"pm2_5": np.array([12.5]), "pm2_5_flag": np.array([1], np.uint8)}
    store = DuckStore(tmp_path / "t.duckdb")
    store.write([Frame(measurement="air", tags={"station": "air-01", "site": "dinh-cau"}, at=at, fields=fields)])
    store.close()
    (query,) = re.findall(r"```sql\n(.+?)\n```", README, re.DOTALL)
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as db:
        assert [row[1:] for row in db.execute(query).fetchall()] == [(12.5, 1)]
