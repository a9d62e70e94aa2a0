"""The commands that ask a running collector, and those on its database."""

from __future__ import annotations

import asyncio
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
from city import NOON, City

from collector.__main__ import main
from collector.database import open_database
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
    assert out.splitlines()[0] == "at,value,flag,status,n,of"
    status, _, err = await command(city, "officer", tmp_path, "query", "air-1", "pm2_5")
    assert status == 1 and "air-01" in err


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
