"""From the reader's steps to text, and from frames to sights."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, pairwise, product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import ALPHABET, SURE, paint, write_models

from edge_agent.camera.plates.reader import Reader
from edge_agent.camera.plates.rectify import Image
from edge_agent.camera.plates.sights import MOST_PLATES, PlateReader
from edge_agent.camera.plates.steps import MOST, STEPS, WIDTH, Floats, Read, lines, readings

NOTHING = " "


def steps(upper: str, lower: str = "", sure: float = 1.0) -> Floats:
    """Steps that say this, one character or NOTHING each, the rest nothing; what is left of 1 goes to all classes."""
    classes = [0 if c == NOTHING else ALPHABET.index(c) + 1 for c in upper.ljust(STEPS) + lower.ljust(STEPS)]
    shares = np.full((2 * STEPS, 1 + len(ALPHABET)), (1 - sure) / len(ALPHABET), np.float32)
    shares[np.arange(2 * STEPS), classes] = sure
    return shares


def tell(told: Floats, step: int, **shares: float) -> None:
    """Let a step say characters, each with its probability; what is left of 1 is for none."""
    told[step] = 0
    told[step, 0] = 1 - sum(shares.values())
    for character, share in shares.items():
        told[step, ALPHABET.index(character.removeprefix("_")) + 1] = share


def first(*views: Floats) -> Read:
    return readings(views, ALPHABET)[0]


def told_by(*views: Floats) -> list[tuple[str, float]]:
    """The readings that are possible at all, and their probabilities."""
    return [(read.text, read.whole) for read in readings(views, ALPHABET) if read.whole > 1e-9]


def text(upper: str, lower: str = "") -> str:
    return first(steps(upper, lower)).text


def test_nothing_reads_as_nothing() -> None:
    assert readings([steps("")], ALPHABET) == [Read("", (), (), 1.0)]
    assert readings([steps("", sure=0.9)], ALPHABET) == [Read("", (), (), pytest.approx(0.9**80, rel=1e-3))]


def test_a_character_that_lasts_several_steps_is_one() -> None:
    assert text("  555 1 FFFF9") == "51F9"


def test_equal_characters_with_nothing_between_are_two() -> None:
    assert text("1 1  22  2") == "1122"


def test_characters_at_both_ends_count() -> None:
    assert text("5" + 38 * " " + "1") == "51"


def test_the_lower_line_follows_after_a_break() -> None:
    assert text(" 6 8 B 1", " 2 4 6 8 0") == "68B1\n24680"
    assert text("", "5 1 F") == "51F"
    assert text(39 * " " + "1", "1") == "1\n1"  # the same character on both sides of the break


def test_every_character_of_the_alphabet_is_read() -> None:
    halves = ALPHABET[:19], ALPHABET[19:]
    assert text(*(" ".join(half) for half in halves)) == "\n".join(halves)
    assert "Đ" in text(" ".join(halves[0]))


def spreads(shares: Floats, alphabet: str) -> dict[str, float]:
    """The probability of every text of a line: each of its spreads over the steps, one by one."""
    sums: defaultdict[str, float] = defaultdict(float)
    for path in product(range(shares.shape[1]), repeat=len(shares)):
        said = "".join(alphabet[class_ - 1] for class_, _ in groupby(path) if class_)
        sums[said] += prod(float(shares[n, class_]) for n, class_ in enumerate(path))
    return sums


@pytest.mark.parametrize(("alphabet", "count"), [("A", 9), ("AB", 3)])
def test_the_probability_of_a_text_is_the_sum_over_all_its_spreads(alphabet: str, count: int) -> None:
    for seed in range(20):
        shares = np.random.default_rng(seed).dirichlet(np.ones(1 + len(alphabet)), count) * 0.94 + 0.02
        expected = spreads(shares, alphabet)
        found = {said: sure for said, sure in lines(shares, alphabet) if sure}
        assert len(found) == min(len(expected), WIDTH)
        assert found == pytest.approx({said: expected[said] for said in found})
        assert list(found) == sorted(expected, key=lambda said: -expected[said])[:WIDTH]


def test_where_not_every_beginning_can_be_followed_the_likeliest_is() -> None:
    for seed in range(40):
        shares = np.random.default_rng(seed).dirichlet((0.2, 0.1, 0.1), 8)  # mostly one of them, as of the network
        expected = spreads(shares, "AB")
        assert len(expected) > 4 * WIDTH
        found = dict(lines(shares, "AB"))
        likeliest = max(expected, key=lambda said: expected[said])
        assert max(found, key=lambda said: found[said]) == likeliest
        assert found[likeliest] == pytest.approx(expected[likeliest], rel=0.05)
        assert all(sure <= expected[said] + 1e-9 for said, sure in found.items())


def test_readings_are_told_the_likeliest_first() -> None:
    told = steps("5 1 F", "8 8")
    tell(told, 4, F=0.6, E=0.3)
    tell(told, STEPS, _8=0.7, B=0.3)
    said = {"51F\n88": 0.42, "51E\n88": 0.21, "51F\nB8": 0.18, "51E\nB8": 0.09, "51\n88": 0.07, "51\nB8": 0.03}
    found = told_by(told)
    assert [text for text, _ in found] == list(said)
    assert dict(found) == pytest.approx(said, abs=1e-4)


def test_no_more_than_a_dozen_readings_are_told() -> None:
    told = steps("")
    for step in (0, 2, 4, STEPS, STEPS + 2, STEPS + 4):
        tell(told, step, A=0.5, B=0.5)
    assert len(readings([told], ALPHABET)) == MOST == 12


def test_a_character_is_as_sure_as_all_readings_of_its_length_together() -> None:
    told = steps("1 2 4")
    tell(told, 2, _2=0.5, _3=0.4)
    read = first(told)
    assert (read.text, read.whole) == ("124", pytest.approx(0.5))
    assert read.confidence == pytest.approx((0.9, 0.5, 0.9))  # 14 is a tenth, and says nothing of three places


def test_what_is_offered_instead_is_the_likeliest_of_the_other_kind() -> None:
    told = steps("8 B O")
    tell(told, 0, _8=0.9, B=0.06, S=0.04)
    tell(told, 2, B=0.94, _8=0.05, _3=0.01)
    read = first(told)
    assert read.text == "8BO"
    assert [character for character, _ in read.instead] == ["B", "8", ""]
    assert [share for _, share in read.instead] == pytest.approx([0.06 / 0.105, 0.05 / 0.065, 0], abs=0.01)


def test_a_letter_that_plates_do_not_carry_is_not_offered() -> None:
    told = steps("0 1")
    tell(told, 0, _0=0.9, O=0.08, D=0.02)
    assert first(told).instead[0] == ("D", pytest.approx(0.02 / 0.025, rel=1e-3))


def test_what_was_hardly_seen_is_hardly_offered() -> None:
    told = steps("8 B")
    tell(told, 0, _8=0.994, B=0.0055)
    assert all(share < 0.6 for _, share in first(told).instead)
    assert all(share == 0 for _, share in first(steps("8 B", sure=0.9999)).instead)


def test_views_of_a_plate_are_averaged() -> None:
    one, other = steps("1 2"), steps("   1 2")  # the same text, elsewhere in the crop
    tell(one, 2, _2=0.9, _3=0.1)
    tell(other, 5, _2=0.2, _3=0.8)
    assert told_by(one, other) == [("12", pytest.approx(0.55)), ("13", pytest.approx(0.45))]
    assert first(one, other, other).text == "13"
    assert first(one, one) == first(one)


def test_views_that_break_the_text_elsewhere_are_two_readings() -> None:
    views = steps("5 1 F"), steps("5 1 F"), steps("5 1", "F")
    assert told_by(*views) == [("51F", pytest.approx(2 / 3)), ("51\nF", pytest.approx(1 / 3))]
    assert first(*views).confidence == pytest.approx((2 / 3,) * 3)


def test_the_whole_is_less_sure_than_any_character() -> None:
    told = steps(" 5 1 F", sure=0.999)
    tell(told, 5, F=0.6, E=0.4)
    read = first(told)
    assert read.text == "51F"
    assert 0.5 < read.whole <= min(read.confidence) <= 0.6
    assert min(read.confidence) == read.confidence[2]


@settings(max_examples=40)
@given(arrays(np.float32, (80, 38), elements=st.floats(0, 1, width=32), fill=st.just(np.float32(0))))
def test_any_shares_read_as_something(shares: Floats) -> None:
    found = readings([shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)], ALPHABET)
    assert found
    assert all(before.whole >= after.whole for before, after in pairwise(found))
    assert sum(read.whole for read in found) <= 1.001
    for read in found:
        text = read.text.replace("\n", "")
        assert len(text) == len(read.confidence) == len(read.instead)
        assert all(read.whole <= share + 1e-6 <= 1.001 for share in read.confidence)
        kinds = [(mine, other) for mine, (other, _) in zip(text, read.instead, strict=True) if other]
        assert all(mine.isdigit() != other.isdigit() for mine, other in kinds)


# The network's part, with one whose answers are painted.


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


def painted_crop(upper: str, lower: str = "") -> Image:
    """As the tiny reader sees it: a class for every fourth pixel of two rows."""
    crop = np.zeros((64, 160, 3), np.uint8)
    for row, line in ((16, upper), (48, lower)):
        for number, character in enumerate(line):
            crop[row, 4 * number : 4 * number + 4, 0] = 0 if character == NOTHING else ALPHABET.index(character) + 1
    return crop


def test_crops_are_read_in_one_batch_each_for_itself(models: Path) -> None:
    reader = Reader(models)
    crops = [painted_crop("5 1 F"), painted_crop("6 8", "B"), painted_crop("")]
    told = reader(crops)
    assert told.shape == (3, 2 * STEPS, 1 + len(reader.alphabet))
    assert [readings([steps], reader.alphabet)[0].text for steps in told] == ["51F", "68\nB", ""]
    assert told.max(-1) == pytest.approx(SURE)
    assert len(reader([])) == 0


def test_what_is_sure_is_no_surer_than_was_measured(models: Path) -> None:
    reader = Reader(models)  # calibrated at 0, 0.5 and 1 to 0, 0.4 and 0.98
    assert [reader.share_right(whole) for whole in (0, 0.25, 0.5, 1)] == pytest.approx([0, 0.2, 0.4, 0.98])


# Frame -> sights.


@pytest.fixture(scope="module")
def reader(models: Path) -> PlateReader:
    return PlateReader(models=models)


@pytest.fixture
def frame() -> Image:
    return np.zeros((540, 960, 3), np.uint8)


def test_plates_of_one_and_two_lines_are_read(reader: PlateReader, frame: Image) -> None:
    paint(frame, 30, 20, "51F90872")
    paint(frame, 80, 50, "68B1", "24680")
    sights = {sight.read.text: sight for sight in reader.sights(frame)}
    assert set(sights) == {"51F90872", "68B124680"}
    one, two = sights["51F90872"], sights["68B124680"]
    assert (one.read.layout, one.read.valid, one.colour) == ("one", True, "yellow")
    assert (two.read.layout, two.read.classes) == ("two", ("moto_old",))
    assert np.allclose(np.mean(one.quad, axis=0), (30 * 8 + 4, 20 * 8 + 4), atol=0.1)
    assert len(one.read.char_confidence) == len(one.read.instead) == 8


def test_a_plate_is_as_sure_as_finder_and_reader_together_and_never_certain(reader: PlateReader, frame: Image) -> None:
    paint(frame, 30, 20, "51F90872")
    (sure,) = reader.sights(frame)
    assert 0.85 < sure.read.confidence < 0.98
    assert set(sure.read.char_confidence) == {99}  # 0.999 is not rounded up
    paint(frame, 30, 20, "51F90872", score=153)
    (unsure,) = reader.sights(frame)
    assert 0.4 < unsure.read.confidence < 0.6 < sure.read.confidence


def test_what_reads_like_no_plate_is_no_sight(reader: PlateReader, frame: Image) -> None:
    for column, text in ((20, "PHUQUOC"), (50, "19006968"), (80, "51F"), (100, "")):
        paint(frame, column, 20, text)
    assert reader.sights(frame) == []
    paint(frame, 60, 50, "51F9O872")  # may be one that was misread
    (sight,) = reader.sights(frame)
    assert (sight.read.raw, sight.read.valid) == ("51F9O872", False)


def test_of_two_that_overlap_the_one_that_is_a_plate_is_kept(reader: PlateReader, frame: Image) -> None:
    paint(frame, 30, 20, "51F9O872")
    paint(frame, 40, 22, "51F90872", score=200)  # beside it by less than its width
    assert [sight.read.text for sight in reader.sights(frame)] == ["51F90872"]


def test_no_more_than_a_dozen_plates_are_read_the_surest(reader: PlateReader) -> None:
    frame = np.zeros((900, 900, 3), np.uint8)
    for number in range(MOST_PLATES + 4):
        paint(frame, 12 + 22 * (number % 4), 6 + 12 * (number // 4), f"51F{number:05}", score=230 - number)
    found = sorted(sight.read.text for sight in reader.sights(frame))
    assert found == [f"51F{number:05}" for number in range(MOST_PLATES)]


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 3000), (7, 100), (8, 8), (9, 2000), (2000, 9), (3, 1)])
def test_frames_of_any_shape_are_taken(reader: PlateReader, shape: tuple[int, int]) -> None:
    for level in (0, 40, 70):
        assert reader.sights(np.full((*shape, 3), level, np.uint8)) == []


@pytest.mark.parametrize(
    "frame",
    [np.zeros((40, 60), np.uint8), np.zeros((40, 60, 4), np.uint8), np.zeros((40, 60, 3), np.uint16)],
    ids=["grey", "with alpha", "16 bits"],
)
def test_other_pictures_are_named(reader: PlateReader, frame: Image) -> None:
    with pytest.raises(ValueError, match="a frame is height x width x 3 of uint8"):
        reader.sights(frame)
