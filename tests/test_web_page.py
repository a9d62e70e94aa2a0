"""The page in a real browser: Debian's chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from city import NOON, City, jpeg, plate
from collector_double import EXAMPLES
from msgspec.structs import replace
from playwright.async_api import Browser, Page, async_playwright, expect

from edge_agent.contract.events import BoxStatus, Calibration, Heartbeat

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all of them

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def city(tmp_path: Path, browser: Browser) -> AsyncIterator[City]:
    city = City(tmp_path)
    city.morning()
    async with city.served():
        yield city
        for context in browser.contexts:
            await context.close()
    city.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


async def enter(browser: Browser, city: City, role: str, width: int = 1400) -> tuple[Page, list[str]]:
    """Log in as somebody would; the page, and whatever goes wrong in it from now on."""
    page = await (await browser.new_context(viewport={"width": width, "height": 900})).new_page()
    await page.goto(city.url)
    await page.get_by_label("Mã truy cập").fill("wrong")
    await page.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("không đúng")
    await page.get_by_label("Mã truy cập").fill(city.tokens[role])
    await page.get_by_role("button").click()
    await expect(page.get_by_text("● Trực tiếp")).to_be_visible()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(city.url) else wrong.append(asked.url))
    return page, wrong


async def test_technician_sees_devices_and_readings_change(city: City, browser: Browser) -> None:
    page, wrong = await enter(browser, city, "technician")
    await expect(page.locator("#device-sea-01")).to_contain_text("trễ 57 phút")
    await expect(page.locator("#device-ap-01")).to_contain_text("mất kết nối")
    await expect(page.locator("#counts")).to_contain_text("2 hoạt động")
    rows = page.locator("#readings-air-01 tr")
    for i, row in enumerate(
        ("23,4 µg/m³ ✓ đạt", "1.840,0 µg/m³ ? nghi ngờ", "6.100,0 µg/m³ ✕ không đạt", "– % ∅ thiếu")
    ):
        await expect(rows.nth(i)).to_contain_text(row, use_inner_text=False)
    await expect(page.get_by_text("Cảnh báo")).to_have_count(0)

    await page.evaluate("window.stays = true")
    city.time += 60_000
    city.live.readings(city.context.fleet["air-01"], [city.latest("pm2_5", 51.7, 1)])
    await expect(rows.first).to_contain_text("51,7")
    await expect(rows.first).to_contain_text("12:00:56")
    city.live.saw("sea-01", city.time, city.time)
    await expect(page.locator("#device-sea-01")).to_contain_text("hoạt động")
    await expect(page.locator("#counts")).to_contain_text("3 hoạt động")
    assert await page.evaluate("window.stays")  # nothing was loaded anew
    assert wrong == []


async def test_police_see_an_alert_come(city: City, browser: Browser) -> None:
    city.watch("68A-123.45")
    city.arrive(
        1, plate("51K99812", jpeg=jpeg("51K99812"), confidence=0.71, char_confidence=(99, 99, 98, 45) + (99,) * 4)
    )
    page, wrong = await enter(browser, city, "police")
    card = page.locator(".plate").first
    await expect(card).to_contain_text("51K99812")
    await expect(card).to_contain_text("71 %")
    await expect(card.locator(".uncertain")).to_have_text("9")
    assert await card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 240
    await expect(page.locator(".alerts")).to_contain_text("Không có cảnh báo")
    await expect(page.locator(".readings")).to_have_count(0)

    await page.evaluate("window.stays = true")
    city.arrive(2, plate("68A12345", raw="68AI2345", at=NOON + 1000, jpeg=jpeg("68AI2345"), rendered=True))
    alert = page.locator(".alert")
    await expect(alert).to_have_count(1)
    await expect(alert).to_contain_text("Gần giống, chưa xác nhận")
    await expect(alert).to_contain_text("Ký tự 4: đọc I, cần tìm 1")
    await expect(alert).to_contain_text("Hình dựng")
    await expect(alert.locator(".differs")).to_have_text("I")
    assert await alert.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 240
    await expect(page.locator(".alerts")).not_to_contain_text("Không có cảnh báo")
    assert await page.evaluate("window.stays")
    assert wrong == []
    trail = {(line.what, line.parameters) for line in city.access.trail()}
    assert {("picture.view", f'{{"id":"cam-01.7.{number}"}}') for number in (1, 2)} < trail
    assert {("alert.shown", '{"alert":1}'), ("page.view", '{"plates":["cam-01.7.1"],"alerts":[]}')} < trail


async def test_what_cameras_read_stays_text(city: City, browser: Browser) -> None:
    page, wrong = await enter(browser, city, "police")
    nasty = "<img src=x onerror=alert(1)>"
    city.arrive(1, plate(nasty, raw=nasty + "<script>alert(2)</script>", valid=False, jpeg=jpeg()))
    await expect(page.locator(".plate .raw")).to_have_text(nasty + "<script>alert(2)</script>")
    assert await page.locator("img[src=x], .plate script").count() == 0
    assert wrong == []


async def test_what_boxes_say_of_themselves_stays_text(city: City, browser: Browser) -> None:
    page, wrong = await enter(browser, city, "technician")
    nasty = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    city.live.status("sea-01", BoxStatus(online=True, at=city.time, version=nasty, outbox=1))
    calibration = Calibration(sensor=nasty, since=city.time, until=city.time + 60_000, by=nasty)
    city.live.beat("sea-01", replace(EXAMPLES[Heartbeat], at=city.time, calibrating=(calibration,)))
    await expect(page.locator("#device-sea-01")).to_contain_text(nasty)
    assert await page.locator("img[src=x], main script").count() == 0
    assert wrong == []


async def test_police_keep_the_watchlist(city: City, browser: Browser) -> None:
    page, _ = await enter(browser, city, "police")
    await page.get_by_role("textbox", name="Biển số").fill("6*")
    await page.get_by_label("Lý do").fill("xe mất cắp")
    await page.get_by_label("Hạn").fill("2026-11-25T08:30")
    await page.get_by_role("button", name="Theo dõi").click()
    await expect(page.locator("#watch .wrong")).to_contain_text("sẽ theo dõi mọi người")
    await page.get_by_role("textbox", name="Biển số").fill("68A-123.*")
    await page.get_by_role("button", name="Theo dõi").click()
    row = page.locator(".watchlist tr", has_text="68A123*")
    await expect(row).to_contain_text("police-1")
    await expect(row).to_contain_text("25/11/2026 08:30")
    assert [entry.pattern for entry in city.desk.watchlist.entries(NOON)] == ["68A123*"]
    await row.get_by_role("button").click()
    await expect(page.locator(".watchlist")).to_contain_text("Chưa theo dõi biển số nào")
    await page.get_by_role("button", name="Thoát").click()
    await expect(page.get_by_label("Mã truy cập")).to_be_visible()


async def test_a_phone_shows_everything_without_sideways_scrolling(city: City, browser: Browser) -> None:
    city.watch("68A*")
    city.arrive(1, plate("68A12345", jpeg=jpeg()))
    for role in ("police", "technician"):
        page, _ = await enter(browser, city, role, width=360)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_a_lost_connection_is_shown_and_mended(city: City, browser: Browser) -> None:
    page, _ = await enter(browser, city, "technician")
    city.live.close()  # as when the client was too slow: the stream ends, and the browser asks again
    city.live.readings(city.context.fleet["air-01"], [city.latest("pm2_5", 77.7, 1)])
    await expect(page.locator("#link[data-state=lost]")).to_be_visible()
    await expect(page.locator("#readings-air-01")).to_contain_text("77,7")
    await expect(page.locator("#link[data-state=live]")).to_be_visible()
