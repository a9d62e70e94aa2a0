"""How commands ask a running collector over HTTP; `calibrate` and `watch`, and those on its database."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from collector.errors import Failure
from collector.local_time import minute
from collector.quarantine import Quarantine
from collector.settings import load
from collector.state import database, now_ms
from collector.web.access import ROLES, Access
from collector.web.context import Refusal
from collector.web.query import iso, parse_span
from edge_agent.contract.secret_file import SecretFileError, read_secret

TIMEOUT = ClientTimeout(total=60, connect=10)
DEFAULT_URL = "http://127.0.0.1:8080"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `calibrate`, `watch`, `token`, `audit` and `refused`; each sets `run`, which returns the exit status."""
    calibrate = commands.add_parser("calibrate", help="say that a sensor of a box is under calibration, or no more")
    calibrate.add_argument("device", help="such as water-01")
    calibrate.add_argument("sensor", help="a name under station.sensors in the box's file")
    calibrate.add_argument("action", choices=("start", "end"))
    calibrate.add_argument("--for", dest="span", default="2h", metavar="SPAN", help="such as 30m (default 2h)")
    add_connection(calibrate)
    calibrate.set_defaults(run=_calibrate)

    watch = commands.add_parser("watch", help="which plates are looked for").add_subparsers(required=True)
    add = watch.add_parser("add", help="look for a plate")
    add.add_argument("pattern", help="a plate, with * for any characters and ? for one")
    add.add_argument("--reason", required=True)
    add.add_argument("--officer", help="who answers for it (default: the token's holder)")
    add.add_argument("--for", dest="span", required=True, metavar="SPAN", help="until when: 12h, 7d, 30d from now")
    add.set_defaults(run=_watch_add)
    listing = watch.add_parser("list", help="show what is looked for")
    listing.add_argument("--all", action="store_true", help="also what is no longer in use")
    listing.set_defaults(run=_watch_list)
    remove = watch.add_parser("remove", help="look for a plate no longer")
    remove.add_argument("entry", type=int, help="the entry's number in the list")
    remove.set_defaults(run=_watch_remove)
    for command in (add, listing, remove):
        add_connection(command)

    token = commands.add_parser("token", help="who may use API and page").add_subparsers(required=True)
    new = token.add_parser("add", help="give somebody a token, printed once")
    new.add_argument("settings", type=Path, help="the collector's settings")
    new.add_argument("name", help="of the person or program")
    new.add_argument("--role", required=True, choices=list(ROLES))
    new.set_defaults(run=_token_add)
    end = token.add_parser("revoke", help="end every token of a name")
    end.add_argument("settings", type=Path, help="the collector's settings")
    end.add_argument("name")
    end.set_defaults(run=_token_revoke)

    audit = commands.add_parser("audit", help="who looked at plates, pictures, alerts and the watchlist, as JSON lines")
    audit.add_argument("settings", type=Path, help="the collector's settings")
    audit.add_argument("--newest", type=int, default=100, metavar="N", help="how many lines (default 100)")
    audit.set_defaults(run=_audit)

    refused = commands.add_parser("refused", help="what boxes sent that could not be taken, and why, as JSON lines")
    refused.add_argument("settings", type=Path, help="the collector's settings")
    refused.set_defaults(run=_refused)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add where the collector is and who asks."""
    url = os.environ.get("COLLECTOR_URL", DEFAULT_URL)
    parser.add_argument("--url", default=url, help=f"of the collector (COLLECTOR_URL, else {DEFAULT_URL})")
    parser.add_argument("--token-file", type=Path, help="file that holds the token (else COLLECTOR_TOKEN)")


def span_ms(text: str) -> int:
    """A span such as 24h in ms. Raises Failure with what to write."""
    try:
        return parse_span(text)
    except Refusal as refusal:
        raise Failure(f"{refusal} {refusal.todo[1]}") from None


def _calibrate(options: argparse.Namespace) -> int:
    body = {"sensor": options.sensor, "action": options.action, "for": options.span}
    said = msgspec.json.decode(ask(options, "POST", f"devices/{quote(options.device, '')}/calibration", body=body))
    print("\n".join(f"{options.device}: {said['said'][tongue]}" for tongue in ("vi", "en")))
    return 0


def _watch_add(options: argparse.Namespace) -> int:
    expires = iso(now_ms() + span_ms(options.span))
    body = {"pattern": options.pattern, "reason": options.reason, "expires": expires, "officer": options.officer}
    _print_entry(msgspec.json.decode(ask(options, "POST", "watchlist", body=body)))
    return 0


def _watch_list(options: argparse.Namespace) -> int:
    query = {"all": "true"} if options.all else {}
    for entry in msgspec.json.decode(ask(options, "GET", "watchlist", query=query)):
        _print_entry(entry)
    return 0


def _watch_remove(options: argparse.Namespace) -> int:
    _print_entry(msgspec.json.decode(ask(options, "DELETE", f"watchlist/{options.entry}")))
    return 0


def _print_entry(entry: dict[str, Any]) -> None:
    state = f"until {minute(entry['expires'])}" if entry["active"] else "removed" if entry["removed"] else "expired"
    print(f"{entry['id']:>5}  {entry['pattern']:<16}  {state:<22}  {entry['officer']}: {entry['reason']}")


def ask(
    options: argparse.Namespace,
    method: str,
    path: str,
    *,
    query: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> bytes:
    """One answer of the API. Raises Failure with what it says is wrong."""
    return asyncio.run(_request(options.url.rstrip("/"), _token(options.token_file), method, path, query, body))


async def _request(  # noqa: PLR0917
    url: str, token: str, method: str, path: str, query: dict[str, str] | None, body: dict[str, Any] | None
) -> bytes:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            ClientSession(headers=headers, timeout=TIMEOUT) as session,
            session.request(method, f"{url}/api/v1/{path}", params=query, json=body) as answer,
        ):
            content = await answer.read()
            if answer.status < 400:
                return content
    except (ClientError, TimeoutError) as error:
        raise Failure(f"{url} does not answer: {error}\nIs the collector running? --url says where.") from error
    try:
        said = msgspec.json.decode(content)
        lines = [f"{said['error'][tongue]} {said['what_to_do'][tongue]}" for tongue in ("vi", "en")]
    except (msgspec.DecodeError, KeyError, TypeError):
        lines = [f"{url} answered {answer.status}; it does not seem to be a collector"]
    raise Failure("\n".join(lines))


def _token(file: Path | None) -> str:
    if file is not None:
        try:
            return read_secret(str(file))
        except SecretFileError as error:
            raise Failure(f"--token-file: {error}") from error
    token = os.environ.get("COLLECTOR_TOKEN", "").strip()
    if not token:
        raise Failure(
            "Cần mã truy cập: đặt COLLECTOR_TOKEN hoặc dùng --token-file.\n"
            "A token is needed: set COLLECTOR_TOKEN or give --token-file; `collector token add` makes one."
        )
    return token


def _token_add(options: argparse.Namespace) -> int:
    if not options.name.strip():
        raise Failure("a token needs the name of the person or program that is to hold it")
    print(Access(database(load(options.settings))).issue(options.name, options.role, now_ms()))
    print("Keep it safe: it is shown only now.", file=sys.stderr)
    return 0


def _token_revoke(options: argparse.Namespace) -> int:
    ended = Access(database(load(options.settings))).revoke(options.name, now_ms())
    print(f"{ended} ended")
    return 0 if ended else 1


def _audit(options: argparse.Namespace) -> int:
    for line in reversed(Access(database(load(options.settings))).trail(options.newest)):
        shown = {
            **msgspec.structs.asdict(line),
            "at": iso(line.at),
            "parameters": msgspec.Raw(line.parameters.encode()),
        }
        print(msgspec.json.encode(shown).decode())
    return 0


def _refused(options: argparse.Namespace) -> int:
    for message in reversed(Quarantine(database(load(options.settings))).list()):
        # the payload may hold a plate and its picture
        shown = {"received": iso(message.received), "topic": message.topic, "reason": message.reason}
        print(msgspec.json.encode({**shown, "bytes": len(message.payload)}).decode())
    return 0
