"""Which plates match which patterns, how surely, and where they differ."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.alerts.match import ALIKE, Matcher, PatternError, align, normal, normal_pattern

LEGAL_LETTERS = "ABCDEFGHKLMNPRSTUVXYZĐ"


def judged(pattern: str, text: str, raw: str | None = None) -> tuple[str, list[tuple[int, str, str]]] | None:
    """Kind and differences of one plate and one pattern."""
    hits = Matcher([(5, normal_pattern(pattern))]).find(text, text if raw is None else raw)
    if not hits:
        return None
    assert [hit.entry for hit in hits] == [5]
    return hits[0].kind, [(d.position, d.read, d.watched) for d in hits[0].differences]


@pytest.mark.parametrize(
    ("pattern", "text"), [("68A-123.45", "68A12345"), ("68a 123 45", "68A-123.45"), ("29-MĐ1 123.45", "29MĐ112345")]
)
def test_separators_and_case_do_not_matter(pattern: str, text: str) -> None:
    assert judged(pattern, text) == ("exact", [])


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("68A*", "68A12345", True),
        ("68A*45", "68A12345", True),
        ("*123.45", "68A12345", True),
        ("68A1234?", "68A12345", True),
        ("68A1234?", "68A1234", False),  # ? is one character, not none
        ("68A12345*", "68A12345", True),  # * may be none
        ("68A*9", "68A12345", False),
        ("68B*", "68A12345", False),
    ],
)
def test_wildcards(pattern: str, text: str, found: bool) -> None:
    assert judged(pattern, text) == (("wildcard", []) if found else None)


@pytest.mark.parametrize(
    ("pattern", "text", "differences"),
    [
        ("68A12345", "6BA12345", [(1, "B", "8")]),
        ("30A00123", "3OAOQ123", [(1, "O", "0"), (3, "O", "0"), (4, "Q", "0")]),
        ("51K45678", "51KL5678", [(3, "L", "4")]),
        ("51K15678", "51KL5678", [(3, "L", "1")]),
        ("29MĐ112345", "29MD112345", [(3, "D", "Đ")]),
        ("68A*", "6BA12345", [(1, "B", "8")]),
        ("*S2345", "68A52345", [(3, "5", "S")]),
    ],
)
def test_lookalikes_say_what_differs(pattern: str, text: str, differences: list[tuple[int, str, str]]) -> None:
    assert judged(pattern, text) == ("lookalike", differences)


@pytest.mark.parametrize("other", ["68A72345", "68A12346", "68B12345", "68A1234", "68A123455", "68C12345"])
def test_another_vehicle_is_no_lookalike(other: str) -> None:
    assert judged("68A12345", other) is None


def test_no_two_characters_of_one_place_are_alike() -> None:
    """Two digits, or two letters that plates carry: a hint would point at a neighbour's car."""
    pairs = [*itertools.combinations("0123456789", 2), *itertools.combinations(LEGAL_LETTERS, 2)]
    assert [pair for pair in pairs if pair[1] in ALIKE[pair[0]]] == [("D", "Đ")]


def test_a_repaired_read_is_never_an_exact_hit() -> None:
    assert judged("68A12345", "68A12345", raw="68AI2345") == ("lookalike", [(3, "I", "1")])
    # the repair went another way than the officer's plate: what was seen still gives the hint
    assert judged("68A12345", "68A42345", raw="68AL2345") == ("lookalike", [(3, "L", "1")])
    # a repair that changed the number of characters
    assert judged("68A12345", "68A12345", raw="68A123451") == ("lookalike", [])


def test_what_a_wildcard_covers_may_be_repaired() -> None:
    assert judged("68A*", "68A12345", raw="68AI2345") == ("wildcard", [])


@pytest.mark.parametrize("pattern", ["", "*", "6?*", "68*", "68A#1", "68A123456789ABCDEF", "[0-9]68A", "68A%"])
def test_patterns_that_cannot_be_watched(pattern: str) -> None:
    with pytest.raises(PatternError) as refused:
        normal_pattern(pattern)
    assert refused.value.vi != refused.value.en


def test_every_entry_that_fits_is_found_once() -> None:
    matcher = Matcher([(3, "68A12345"), (1, "68A*"), (2, "68A12345"), (4, "51K*"), (6, "6BA12345")])
    kinds = [(hit.entry, hit.kind) for hit in matcher.find("68A12345", "68A12345")]
    assert kinds == [(1, "wildcard"), (2, "exact"), (3, "exact"), (6, "lookalike")]


def test_text_that_is_no_plate_matches_nothing() -> None:
    matcher = Matcher([(1, "68A*")])
    assert matcher.find("", "") == []
    assert matcher.find("68A" + "1" * 10_000, "68A" + "1" * 10_000) == []
    assert Matcher([]).find("68A12345", "68A12345") == []


plates = st.text("0123456789ABDĐILOQSTZ.- ", max_size=14)


@given(plates, plates, st.sampled_from(["68A12345", "1I0OD", "2Z7T*", "?0D1*4", "*8B?"]))
def test_the_quick_way_finds_what_the_slow_way_finds(text: str, raw: str, pattern: str) -> None:
    found = Matcher([(1, pattern)]).find(text, raw)
    assert bool(found) == any(p and align(pattern, p) is not None for p in (normal(text), normal(raw)))


@given(st.text("68A1I", min_size=4, max_size=8), st.text("68A1I*?", min_size=4, max_size=8))
def test_differences_account_for_the_plate(plate: str, pattern: str) -> None:
    differences = align(pattern, plate)
    if differences is None:
        return
    repaired = list(plate)
    for difference in differences:
        assert repaired[difference.position] == difference.read
        assert difference.read in ALIKE[difference.watched] - {difference.watched}
        repaired[difference.position] = difference.watched
    assert align(pattern, "".join(repaired)) == ()


def test_thousands_of_entries() -> None:
    chance = random.Random(7)
    plates = [f"{chance.randrange(11, 99)}{chance.choice('ABCDE')}{chance.randrange(10**5):05}" for _ in range(4000)]
    matcher = Matcher([(i, plate if i % 2 else f"{plate[:6]}*{plate[7:]}") for i, plate in enumerate(plates)])
    for i in range(0, 4000, 37):
        assert i in [hit.entry for hit in matcher.find(plates[i], plates[i])]
