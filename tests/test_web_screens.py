"""Many screens that show the page: they share the work of rendering it, and leave the collector to its own."""

from __future__ import annotations

import asyncio

import pytest
from city import FLEET, NOON, City

from collector.subscription import Change
from collector.web import page
from collector.web.access import Who


async def test_screens_that_come_at_once_share_the_rendering_and_see_what_was_before(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    render = page.render
    monkeypatch.setattr(page, "render", lambda name, **values: rendered.append(name) or render(name, **values))
    sections = page.Sections(city.context)
    wanted = [sections.get("technician", "devices") for _ in range(50)]
    city.live.saw("air-01", NOON, NOON)
    shown = await asyncio.gather(*wanted)
    assert rendered == ["devices.html"]
    assert all(each.states["air-01"].seen == NOON for each in shown)
    assert (await sections.get("technician", "devices")).html == shown[0].html
    assert len(rendered) == 2, "who comes later is shown what is then"


async def test_a_change_is_rendered_once_for_all_screens(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    render = page.render
    monkeypatch.setattr(page, "render", lambda name, **values: rendered.append(name) or render(name, **values))
    views = [page.View(city.context, Who(name=f"screen {n}", role="technician")) for n in range(50)]
    section = await page.Sections(city.context).get("technician", "devices")
    rendered.clear()
    changes = []
    for device, state in section.states.items():
        changes.append(Change(topic="devices", key=device, item=state))
    events = set()
    for view in views:
        view.shown(section)
        events.add(view.events(changes))
    assert len(events) == 1
    assert rendered == ["device.html"] * len(section.states)
    assert set(section.states) <= set(FLEET)
