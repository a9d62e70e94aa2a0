"""Many silent boxes of one site are one notice; many sites one about the centre; each is said once."""

from __future__ import annotations

import logging

import msgspec
import pytest
from city import NOON, box

from collector.live_box import DeviceState, State
from collector.notices import Told, notices
from collector.web import wording

MINUTE = 60_000


def at(site: str, *states: State) -> list[DeviceState]:
    """The boxes of a site, the first seen at noon, each other a minute later."""
    boxes = [
        msgspec.structs.replace(box(f"{site}-{number}", "Chợ đêm", access_point=True), site=site)
        for number in range(len(states))
    ]
    return [
        DeviceState(box=there, state=state, seen=None if state == "never" else NOON + number * MINUTE, late_s=0)
        for number, (there, state) in enumerate(zip(boxes, states, strict=True))
    ]


def told(devices: list[DeviceState]) -> list[tuple[str, str, int, int]]:
    return [(notice.place, notice.name, len(notice.boxes), notice.of) for notice in notices(devices)]


def test_no_silence_no_notice() -> None:
    assert told(at("a", "online", "online", "never")) == []


def test_few_silent_boxes_are_told_one_by_one() -> None:
    devices = at("a", "late", "offline", "online", "online")
    assert told(devices) == [("box", "a-0", 1, 1), ("box", "a-1", 1, 1)]


def test_half_of_a_site_is_one_notice_with_the_last_sign_of_life() -> None:
    (notice,) = notices(at("a", "late", "offline", "late", "online", "online", "online", "never"))
    assert (notice.place, notice.name, notice.boxes, notice.of) == ("site", "a", ("a-0", "a-1", "a-2"), 6)
    assert notice.since == NOON + 2 * MINUTE


def test_less_than_half_of_a_large_site_stay_single() -> None:
    assert [place for place, *_ in told(at("a", *["late"] * 3, *["online"] * 4))] == ["box"] * 3


def test_many_dark_sites_are_one_notice_about_the_centre() -> None:
    dark = [device for site in "abc" for device in at(site, "late", "late", "late", "online")]
    assert told(dark + at("d", "online", "late")) == [("centre", "centre", 10, 14)]
    bright = [device for site in "efgh" for device in at(site, "online")]
    assert [place for place, *_ in told(dark + bright)] == ["site"] * 3


def test_each_is_said_once_when_it_begins_and_once_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    said, single, site = Told(), at("a", "late", "online", "online"), at("a", "late", "late", "late")
    with caplog.at_level(logging.INFO):
        for devices in (single, single, site, site, at("a", "online", "online", "online")):
            said.tell(notices(devices))
    assert [record.getMessage() for record in caplog.records] == [
        "a-0: says nothing",
        "site a: 3 of 3 boxes say nothing; are power and link of the site up?",
        "a: heard again",
    ]


def test_the_page_has_words_for_it_in_both_languages() -> None:
    (notice,) = notices(at("a", "late", "late", "late"))
    word = wording.notice(notice)
    assert word.vi.startswith("a: 3/3 thiết bị im lặng") and word.en.startswith("3/3 boxes of this site")
