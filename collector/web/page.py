"""The live page: rendered here, kept current by fragments of the same templates over server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any
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
from collector.web.access import SESSION_MS, Who
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


class View:
    """Renders what one visitor may see."""

    def __init__(self, context: Context, who: Who) -> None:
        self._context = context
        self._who = who
        self._states: dict[str, DeviceState] = {}

    def section(self, topic: Topic) -> str:
        """The whole content of a section."""
        live, now = self._context.live, self._context.now()
        if topic == "devices":
            states = [state for state in live.devices() if concerns(self._who.role, state.box)]
            self._states = {state.box.device: state for state in states}
            return self._render("devices.html", devices=states, now=now, **self._counted())
        if topic == "readings":
            return self._render("readings.html", stations=live.stations(), now=now)
        if topic == "limits":
            return self._render("limits.html", broken=live.broken_limits(), now=now)
        if topic == "plates":
            return self._render("plates.html", plates=live.last_plates(), desk=self._context.desk, now=now)
        return self._render("alerts.html", alerts=live.last_alerts(), now=now)

    def fragment(self, change: Change) -> list[dict[str, str]]:
        """What is to be put in for a change: section, element id and HTML."""
        item, now = change.item, self._context.now()
        if change.topic == "limits":
            html = self.section("limits")
            return [{"section": "limits", "digest": digest(html), "html": html}]
        if isinstance(item, Alert):
            html = self._render("alert.html", alert=item, now=now)
            return [{"section": "alerts", "id": f"alert-{item.id}", "html": html}]
        if isinstance(item, Sighting):
            html = self._render("plate.html", seen=item, desk=self._context.desk, now=now)
            return [{"section": "plates", "id": f"plate-{item.id}", "html": html}]
        name = item.box.device
        if not concerns(self._who.role, item.box):
            return []
        if isinstance(item, StationState):
            html = self._render("station.html", station=item, now=now)
            return [{"section": "readings", "id": f"readings-{name}", "html": html}]
        html = self._render("device.html", device=item, now=now)
        fragments = [{"section": "devices", "id": f"device-{name}", "html": html}]
        known, self._states[name] = self._states.get(name), item
        if known is None or known.state != item.state:
            counts = self._render("counts.html", now=now, **self._counted())
            fragments.append({"section": "devices", "id": "counts", "html": counts})
        return fragments

    def _counted(self) -> dict[str, Any]:
        states = self._states.values()
        return {"counts": Counter(state.state for state in states), "notices": notices(states)}

    @staticmethod
    def _render(template: str, **values: Any) -> str:
        return TEMPLATES.get_template(template).render(**values)


def digest(html: str) -> str:
    """A short name of a section's content, by which the page knows that it has it already."""
    return hashlib.sha256(html.encode()).hexdigest()[:16]


async def page(request: web.Request) -> web.Response:
    """The page, with the sections of the visitor's role."""
    context, visitor = request.app[CONTEXT], who(request)
    live, view, shown = context.live, View(context, visitor), sections(visitor)
    watchlist = None
    if visitor.may("plates"):
        ids = {"plates": [seen.id for seen in live.last_plates()], "alerts": [alert.id for alert in live.last_alerts()]}
        await audit(request, visitor, "page.view", ids)
    if visitor.may("watchlist"):
        watchlist = await asyncio.to_thread(context.desk.watchlist.entries, context.now(), 200)
    rendered = {topic: view.section(topic) for topic in shown}
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
            html = view.section(topic)
            await send(_event({"section": topic, "digest": digest(html), "html": html}))

    async def each(send: Send, change: Change) -> None:
        if isinstance(change.item, Alert):
            await audit(request, visitor, "alert.shown", {"alert": change.item.id})
        for fragment in view.fragment(change):
            await send(_event(fragment))

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
