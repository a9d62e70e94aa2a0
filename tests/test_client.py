"""The commands that ask a running collector, and those on its database."""

from __future__ import annotations

import asyncio
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import numpy as np
from city import NOON, City

from collector.__main__ import main
from collector.database import open_database
from collector.points import Frame
from collector.quarantine import Quarantine, Refused
from collector.state import now_ms
from collector.web.access import Access, Who

SAFETY_S = 10


async def collector(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in a thread; status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = await asyncio.wait_for(asyncio.to_thread(main, list(arguments)), 3 * SAFETY_S)
    return status, out.getvalue(), err.getvalue()


async def command(city: City, role: str, tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command against the city's server with a role's token."""
    file = tmp_path / "token"
    file.write_text(city.tokens[role] + "\n")
    return await collector(*arguments, "--url", city.url, "--token-file", str(file))


async def test_commands(city: City, tmp_path: Path) -> None:
    city.time = now_ms()  # the commands are processes with the machine's own clock
    city.measure("air-01", "pm2_5", [20.0, 22.5, 900.0], [1, 1, 4])
    add = ("watch", "add", "68a*", "--reason", "xe mất cắp", "--officer", "CA-1", "--for", "30m")
    status, out, err = await command(city, "police", tmp_path, *add)
    assert status == 0, err
    assert "68A*" in out and "CA-1: xe mất cắp" in out
    status, out, _ = await command(city, "police", tmp_path, "watch", "list")
    assert status == 0 and "68A*" in out
    status, out, _ = await command(city, "police", tmp_path, "watch", "remove", out.split()[0])
    assert status == 0 and "removed" in out
    status, _, err = await command(city, "officer", tmp_path, "watch", "list")
    assert status == 1 and "officer may not use this" in err and "không được xem" in err
    status, out, _ = await command(city, "officer", tmp_path, "query", "air-01", "pm2_5", "--last", "1h")
    assert [line.split()[2:] for line in out.splitlines()][1:] == [
        ["22.5", "µg/m3", "✓", "pass"],
        ["900.0", "µg/m3", "✕", "fail"],
    ]
    status, out, _ = await command(city, "officer", tmp_path, "query", "air-01", "pm2_5", "--csv", "--every", "1d")
    assert out.splitlines()[0] == "at,unit,value,flag,coverage,n,due,rule"
    status, _, err = await command(city, "officer", tmp_path, "query", "air-1", "pm2_5")
    assert status == 1 and "air-01" in err
    status, _, err = await command(city, "officer", tmp_path, "query", "air-01", "pm25")
    assert status == 1 and "Did you mean: pm2_5" in err


async def test_what_an_instrument_was_doing_is_said_beside_the_flag(city: City, tmp_path: Path) -> None:
    city.time = now_ms()
    at = np.array([city.time - 2000, city.time - 1000], np.int64)
    fields = {
        "ph": np.array([7.0, 7.1]),
        "ph_flag": np.array([3, 4], np.uint8),
        "ph_status": np.array([1, 2], np.uint8),
    }
    city.store.write([Frame(measurement="seawater", tags={"station": "sea-01", "site": "x"}, at=at, fields=fields)])
    _, out, _ = await command(city, "officer", tmp_path, "query", "sea-01", "ph")
    assert [line.split()[4:] for line in out.splitlines()] == [
        ["?", "suspect", "(calibrating)"],
        ["✕", "fail", "(fault)"],
    ]
    _, out, _ = await command(city, "officer", tmp_path, "query", "sea-01", "ph", "--csv")
    assert [line.split(",")[1:] for line in out.splitlines()[1:]] == [["pH", "7.0", "3", "1"], ["pH", "7.1", "4", "2"]]


async def test_a_token_that_cannot_be_used_is_said(city: City, tmp_path: Path) -> None:
    query = ("query", "air-01", "pm2_5", "--url", city.url, "--token-file", str(tmp_path / "token"))
    for content, says in ((None, "No such file"), (b"\xff\xfe", "holds no text"), (b"", "is empty")):
        if content is not None:
            (tmp_path / "token").write_bytes(content)
        status, _, err = await collector(*query)
        assert status == 1 and says in err


async def test_tokens_by_command(tmp_path: Path) -> None:
    settings = tmp_path / "collector.yaml"
    settings.write_text(f"state: {tmp_path}\nfleet: {tmp_path}\nplates: {{keep_days: 1, keep_hit_days: 2}}\n")

    status, token, _ = await collector("token", "add", str(settings), "đội 3", "--role", "police")
    access = Access(open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}"))
    who = access.holder(token.strip())
    assert status == 0 and who == Who(name="đội 3", role="police")
    access.record(who, "plates.search", {"plate": "68A*"}, now=NOON)
    status, lines, _ = await collector("audit", str(settings))
    assert msgspec.json.decode(lines)["parameters"] == {"plate": "68A*"}
    assert await collector("token", "revoke", str(settings), "đội 3") == (0, "1 ended\n", "")
    status, _, err = await collector("token", "add", str(settings), " ", "--role", "police")
    assert status == 1 and "needs the name" in err
    assert access.holder(token.strip()) is None


async def test_what_was_refused_is_listed_without_its_content(tmp_path: Path) -> None:
    settings = tmp_path / "collector.yaml"
    settings.write_text(f"state: {tmp_path}\nfleet: {tmp_path}\nplates: {{keep_days: 1, keep_hit_days: 2}}\n")
    assert await collector("refused", str(settings)) == (0, "", "")
    sent = {"received": NOON, "topic": "v1/up/cam-01/plates", "reason": "no pack"}
    Quarantine(open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}")).put([Refused(**sent, payload=b"68A12345")])
    status, lines, _ = await collector("refused", str(settings))
    assert status == 0
    assert msgspec.json.decode(lines) == {**sent, "received": "2026-11-22T05:00:00.000Z", "bytes": 8}
