"""What the demo shows while it runs, all of it asked from the collector's own HTTP API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from rich.console import Group
from rich.table import Table
from rich.text import Text

from collector.web.access import Role
from collector.web.wording import FLAGS, percent

START_S = 30.0
SHOWN = {"air-01": "pm2_5", "sea-01": "ph", "waste-01": "ph"}
"""A quantity of each station for the summary."""
FLAG_COLOURS = {1: "green", 2: "white", 3: "yellow", 4: "red", 9: "red"}
STATES = {"online": "green", "late": "yellow", "offline": "red", "never": "dim"}


class Api:
    """The collector's API with a token of every role."""

    def __init__(self, session: aiohttp.ClientSession, address: str, tokens: Mapping[Role, str]) -> None:
        self.address = address
        self._session = session
        self._tokens = tokens

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: str, tokens: Mapping[Role, str]) -> AsyncIterator[Self]:
        """An API client for as long as the context lasts."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            yield cls(session, address, tokens)

    async def get(self, role: Role, path: str, **query: str) -> Any:
        """The JSON answer to a role's question."""
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        async with self._session.get(f"{self.address}/api/v1/{path}", params=query, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def ready(self) -> None:
        """Wait until the collector serves. Raises TimeoutError."""
        async with asyncio.timeout(START_S):
            while True:
                try:
                    async with self._session.get(f"{self.address}/healthz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)

    async def watch(self, plate: str) -> None:
        """Put a plate on the watchlist for a day."""
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
        entry = {"pattern": plate, "reason": "demo", "officer": "demo", "expires": expires}
        headers = {"Authorization": f"Bearer {self._tokens['police']}"}
        async with self._session.post(f"{self.address}/api/v1/watchlist", json=entry, headers=headers) as answer:
            answer.raise_for_status()

    async def alerts(self) -> AsyncIterator[dict[str, Any]]:
        """New alerts as they are raised, by server-sent events."""
        headers = {"Authorization": f"Bearer {self._tokens['police']}"}
        stream = f"{self.address}/api/v1/alerts/stream"
        async with self._session.get(stream, headers=headers, timeout=aiohttp.ClientTimeout()) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"data: ") and line.strip() != b"data:":
                    yield json.loads(line[6:])

    async def missing(self, boxes: Iterable[str], plate: str) -> list[str]:
        """What the running collector cannot show."""
        devices = {device["device"]: device for device in await self.get("operator", "devices")}
        missing = [f"{name} is {devices[name]['state']}" for name in boxes if devices[name]["state"] != "online"]
        if not any(alert["plate"]["text"] == plate for alert in await self.get("police", "alerts")):
            missing.append(f"no alert for {plate}")
        return missing


async def view(api: Api, plate: str) -> Group:
    """The summary as it is now."""
    devices = await api.get("operator", "devices")
    ledger = await api.get("operator", "ledger")
    plates = await api.get("police", "plates", limit="5")
    alerts = await api.get("police", "alerts", limit="3")
    stored = {account["device"]: account for account in ledger}

    boxes = Table(title="Boxes", title_justify="left", expand=True)
    for column in ("box", "state", "events stored", "missing", "latest"):
        boxes.add_column(column, justify="right" if column in ("events stored", "missing") else "left")
    for device in devices:
        account = stored.get(device["device"])
        if account is None and device["state"] == "never":
            continue
        latest = await _latest(api, device["device"])
        boxes.add_row(
            f"{device['device']}  [dim]{device['label'].partition(' / ')[2]}[/]",
            Text(device["state"], STATES[device["state"]]),
            str(account["stored"] if account else 0),
            str(account["missing"] if account else 0),
            latest,
        )
    seen = Table(title="Plates (rendered street)", title_justify="left", expand=True)
    for column in ("time", "plate", "read as", "confidence", "colour", "lines"):
        seen.add_column(column)
    for row in plates:
        seen.add_row(
            row["at"][11:19], row["text"], row["raw"], percent(row["confidence"]), row["colour"], row["layout"]
        )
    told = [
        Text(f"ALERT {alert['plate']['text']} ({alert['kind']} match of {alert['pattern']})", "bold white on red")
        for alert in alerts
    ]
    return Group(boxes, seen, *(told or [Text(f"Watching for {plate}", "dim")]))


async def _latest(api: Api, device: str) -> Text:
    quantity = SHOWN.get(device)
    if quantity is None:
        return Text("")
    answer = await api.get("officer", "readings", station=device, quantity=quantity)
    if not answer["rows"]:
        return Text("no reading yet", "dim")
    row = answer["rows"][-1]
    flag, colour = FLAGS[row["flag"]].en, FLAG_COLOURS[row["flag"]]
    value = "no value" if row["value"] is None else f"{row['value']:g} {answer['unit']}"
    return Text(f"{quantity} {value} ({flag})", colour)
