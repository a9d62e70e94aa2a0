"""From the reader's steps to text, and from frames to sights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import ALPHABET, SURE, paint, write_models

from edge_agent.camera.plates.plate_reader import MOST_PLATES, PlateReader
from edge_agent.camera.plates.reader import Reader
from edge_agent.camera.plates.rectify import Image
from edge_agent.camera.plates.steps import STEPS, Floats, decode, probability

NOTHING = " "


def steps(upper: str, lower: str = "", sure: float = 0.9) -> Floats:
    """Steps that say this, one character or NOTHING each, the rest nothing; what is left of 1 goes to all classes."""
    classes = [0 if c == NOTHING else ALPHABET.index(c) + 1 for c in upper.ljust(STEPS) + lower.ljust(STEPS)]
    shares = np.full((2 * STEPS, 1 + len(ALPHABET)), (1 - sure) / len(ALPHABET), np.float32)
    shares[np.arange(2 * STEPS), classes] = sure
    return shares


def text(upper: str, lower: str = "") -> str:
    return decode(steps(upper, lower), ALPHABET).text


def test_nothing_reads_as_nothing() -> None:
    read = decode(steps(""), ALPHABET)
    assert (read.text, read.confidence, read.instead) == ("", (), ())
    assert read.whole == pytest.approx(0.9**80, rel=1e-3)


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


def test_the_confidence_of_a_character_is_that_of_its_surest_step() -> None:
    told = steps("111 2")
    told[1, 2], told[1, 0] = 0.95, 0.0
    told[4, 3], told[4, 4] = 0.5, 0.4
    read = decode(told, ALPHABET)
    assert read.text == "12"
    assert read.confidence == pytest.approx((0.95, 0.5))


def test_what_is_offered_instead_is_the_likeliest_of_the_other_kind() -> None:
    told = steps("8 B O")
    told[0, [ALPHABET.index("B") + 1, ALPHABET.index("S") + 1]] = 0.06, 0.03
    told[2, [ALPHABET.index("8") + 1, ALPHABET.index("3") + 1]] = 0.05, 0.01
    read = decode(told, ALPHABET)
    assert [character for character, _ in read.instead[:2]] == ["B", "8"]
    assert read.instead[0][1] == pytest.approx(0.06 / (0.06 + 0.03 + 20 * 0.1 / 37 + 0.005), rel=0.02)
    assert read.instead[2][0] in "0123456789"


def test_a_letter_that_plates_do_not_carry_is_not_offered() -> None:
    told = steps("0 1")
    told[0, [ALPHABET.index("O") + 1, ALPHABET.index("D") + 1]] = 0.08, 0.02
    assert decode(told, ALPHABET).instead[0][0] == "D"


def test_what_was_hardly_seen_is_hardly_offered() -> None:
    read = decode(steps("8 B", sure=0.9999), ALPHABET)
    assert all(share < 0.05 for _, share in read.instead)


def test_the_probability_of_a_text_is_the_sum_over_all_its_spreads() -> None:
    shares = np.random.default_rng(2).dirichlet(np.ones(3), 5)
    sums: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=5):
        classes = tuple(class_ for class_, _ in groupby(path) if class_)
        sums[classes] = sums.get(classes, 0) + prod(shares[n, class_] for n, class_ in enumerate(path))
    assert len(sums) > 20
    for classes, expected in sums.items():
        assert probability(shares, classes) == pytest.approx(expected)


def test_a_text_that_does_not_fit_into_the_steps_has_no_probability() -> None:
    assert probability(np.full((3, 2), 0.5), [1, 1, 1]) == 0
    assert probability(np.full((5, 2), 0.5), [1, 1, 1]) > 0


def test_the_whole_is_less_sure_than_any_character() -> None:
    told = steps(" 5 1 F", sure=0.999)
    told[5, ALPHABET.index("F") + 1], told[5, ALPHABET.index("E") + 1] = 0.6, 0.4
    read = decode(told, ALPHABET)
    assert read.text == "51F"
    assert 0.5 < read.whole < min(read.confidence) == pytest.approx(0.6)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (80, 38), elements=st.floats(0, 1, width=32)))
def test_any_shares_read_as_something(shares: Floats) -> None:
    read = decode(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-6), ALPHABET)
    text = read.text.replace("\n", "")
    assert len(text) == len(read.confidence) == len(read.instead)
    assert 0 <= read.whole <= 1.001
    assert all(other.isdigit() != mine.isdigit() for mine, (other, _) in zip(text, read.instead, strict=True))


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


def test_plates_are_read_in_one_batch_each_from_its_own_crops(models: Path) -> None:
    read_plates = Reader(models)
    plates: Sequence[Sequence[Image]] = [
        [painted_crop("5 1 F")],
        [painted_crop("6 8", "B"), painted_crop("6 8", "B"), painted_crop("6 9", "B")],
        [painted_crop("")],
    ]
    reads = read_plates(plates)
    assert [read.text for read in reads] == ["51F", "68\nB", ""]
    assert reads[0].confidence == pytest.approx((SURE, SURE, SURE))
    assert reads[1].confidence == pytest.approx((SURE, 2 / 3, SURE), abs=1e-3)  # one of three crops differs
    assert read_plates([]) == []


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
