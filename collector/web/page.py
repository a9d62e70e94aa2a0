"""The live page: rendered here, kept current by fragments of the same templates over server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import jinja2
import msgspec
from aiohttp import web

from collector.alerts.desk import Alert
from collector.alerts.sightings import Sighting
from collector.live_box import DeviceState, StationState
from collector.notices import notices
from collector.subscription import Change, Topic
from collector.web import wording
from collector.web.access import SESSION_MS, Role, Who
from collector.web.context import CONTEXT, Context, who
from collector.web.guard import COOKIE, FAILURES, audit, foreign_origin, identify, same_origin, too_often
from collector.web.measurements import concerns
from collector.web.stream import Send, stream
from edge_agent.contract.quantities import BY_NAME

HERE = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals.update(words=wording, quantities=BY_NAME)

SECTIONS: tuple[Topic, ...] = ("alerts", "plates", "limits", "devices", "readings")


def sections(who: Who) -> list[Topic]:
    """What the page shows to somebody, in its order."""
    return [section for section in SECTIONS if who.may(section)]


class Section(NamedTuple):
    """The whole content of a section, the event that puts it in, and the states of the boxes that it shows."""

    html: str
    event: bytes
    states: Mapping[str, DeviceState]


class Sections:
    """Renders whole sections beside the event loop, one at a time, as thousands of boxes take a second.

    Who asks while the same waits for its turn shares it, so a hundred screens that come at once cost little more.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()
        self._asked: dict[tuple[Role, Topic], asyncio.Task[Section]] = {}

    async def get(self, role: Role, topic: Topic) -> Section:
        """A section as somebody of this role sees it now, or a moment later."""
        if (role, topic) not in self._asked:
            self._asked[role, topic] = asyncio.create_task(self._make(role, topic))
        return await asyncio.shield(self._asked[role, topic])

    async def _make(self, role: Role, topic: Topic) -> Section:
        async with self._turn:
            del self._asked[role, topic]  # who asks from now on may know of changes that this one does not
            values = self._values(role, topic)
            html = await asyncio.to_thread(render, f"{topic}.html", **values)
            event = _event({"section": topic, "digest": digest(html), "html": html})
            return Section(html, event, {state.box.device: state for state in values.get("devices", ())})

    def _values(self, role: Role, topic: Topic) -> dict[str, Any]:
        live, now = self._context.live, self._context.now()
        if topic == "devices":
            states = [state for state in live.devices() if concerns(role, state.box)]
            return {"devices": states, "now": now, **counted(states)}
        if topic == "readings":
            return {"stations": live.stations(), "now": now}
        if topic == "limits":
            return {"broken": live.broken_limits(), "now": now}
        if topic == "plates":
            return {"plates": live.last_plates(), "desk": self._context.desk, "now": now}
        return {"alerts": live.last_alerts(), "now": now}


SECTIONS_OF = web.AppKey("sections_of", Sections)


class View:
    """What one visitor sees of changes."""

    def __init__(self, context: Context, who: Who) -> None:
        self._context = context
        self._who = who
        self._states: dict[str, DeviceState] = {}

    def shown(self, section: Section) -> None:
        """The visitor has this section."""
        self._states |= section.states

    def events(self, changes: Sequence[Change]) -> bytes:
        """What is to be put in for changes: events of section, element id and HTML."""
        parts: list[bytes] = []
        counts_differ = False
        for change in changes:
            item = change.item
            if isinstance(item, StationState | DeviceState) and not concerns(self._who.role, item.box):
                continue
            change.event = change.event or _event(self._fragment(change))
            parts.append(change.event)
            if isinstance(item, DeviceState):
                known, self._states[item.box.device] = self._states.get(item.box.device), item
                counts_differ |= known is None or known.state != item.state
        if counts_differ:
            html = render("counts.html", now=self._context.now(), **counted(self._states.values()))
            parts.append(_event({"section": "devices", "id": "counts", "html": html}))
        return b"".join(parts)

    def _fragment(self, change: Change) -> dict[str, str]:
        item, now = change.item, self._context.now()
        if change.topic == "limits":
            html = render("limits.html", broken=item, now=now)
            return {"section": "limits", "digest": digest(html), "html": html}
        if isinstance(item, Alert):
            html = render("alert.html", alert=item, now=now)
            return {"section": "alerts", "id": f"alert-{item.id}", "html": html}
        if isinstance(item, Sighting):
            html = render("plate.html", seen=item, desk=self._context.desk, now=now)
            return {"section": "plates", "id": f"plate-{item.id}", "html": html}
        name = item.box.device
        if isinstance(item, StationState):
            html = render("station.html", station=item, now=now)
            return {"section": "readings", "id": f"readings-{name}", "html": html}
        html = render("device.html", device=item, now=now)
        return {"section": "devices", "id": f"device-{name}", "html": html}


def counted(states: Collection[DeviceState]) -> dict[str, Any]:
    """How many boxes are in which state, and what that comes to."""
    return {"counts": Counter(state.state for state in states), "notices": notices(states)}


def render(template: str, **values: Any) -> str:
    """A template's HTML."""
    return TEMPLATES.get_template(template).render(**values)


def digest(html: str) -> str:
    """A short name of a section's content, by which the page knows that it has it already."""
    return hashlib.sha256(html.encode()).hexdigest()[:16]


async def page(request: web.Request) -> web.Response:
    """The page, with the sections of the visitor's role."""
    context, visitor = request.app[CONTEXT], who(request)
    live, shown = context.live, sections(visitor)
    watchlist = None
    if visitor.may("plates"):
        ids = {"plates": [seen.id for seen in live.last_plates()], "alerts": [alert.id for alert in live.last_alerts()]}
        await audit(request, visitor, "page.view", ids)
    if visitor.may("watchlist"):
        watchlist = await asyncio.to_thread(context.desk.watchlist.entries, context.now(), 200)
    rendered = {topic: (await request.app[SECTIONS_OF].get(visitor.role, topic)).html for topic in shown}
    html = TEMPLATES.get_template("page.html").render(
        who=visitor,
        sections={topic: (html, digest(html)) for topic, html in rendered.items()},
        watchlist=watchlist,
        now=context.now(),
    )
    return web.Response(text=html, content_type="text/html")


async def live(request: web.Request) -> web.StreamResponse:
    """Sections and changes as server-sent events: first every section as it is now, then what changes."""
    visitor = who(request)
    view, shown = View(request.app[CONTEXT], visitor), sections(visitor)
    if visitor.may("plates"):
        await audit(request, visitor, "page.live", {})

    async def first(send: Send) -> None:
        for topic in shown:
            section = await request.app[SECTIONS_OF].get(visitor.role, topic)
            view.shown(section)
            await send(section.event)

    async def each(send: Send, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change.item, Alert):
                await audit(request, visitor, "alert.shown", {"alert": change.item.id})
        await send(view.events(changes))

    return await stream(request, shown, first, each)


def _event(data: dict[str, str]) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(data)


async def login_form(request: web.Request) -> web.Response:
    """The page that asks for the token."""
    if (await identify(request))[0] is not None:
        raise web.HTTPSeeOther("/")
    return _login(wrong=False)


async def login(request: web.Request) -> web.Response:
    """Take the token and begin a session."""
    if not same_origin(request):
        raise foreign_origin()
    context, form = request.app[CONTEXT], parse_qs((await request.read()).decode(errors="replace"))
    token = form.get("token", [""])[0].strip()
    session = await asyncio.to_thread(context.access.open_session, token, context.now())
    if session is None:
        if not request.app[FAILURES].allows(request.remote):
            raise too_often()
        return _login(wrong=True)
    response = web.HTTPSeeOther("/")
    secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(COOKIE, session, httponly=True, samesite="Strict", secure=secure, max_age=SESSION_MS // 1000)
    raise response


async def logout(request: web.Request) -> web.Response:
    """End the session."""
    session = request.cookies.get(COOKIE)
    if session is not None:
        await asyncio.to_thread(request.app[CONTEXT].access.close_session, session)
    response = web.HTTPSeeOther("/login")
    response.del_cookie(COOKIE)
    raise response


def _login(*, wrong: bool) -> web.Response:
    html = TEMPLATES.get_template("login.html").render(wrong=wrong)
    return web.Response(text=html, content_type="text/html", status=403 if wrong else 200)
