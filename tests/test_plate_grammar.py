"""The grammar of plates, against the vectors that were made from the circulars and from measured plates."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookalikes import offered

from edge_agent.camera.plates import grammar
from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.read import PlateText
from edge_agent.contract.events import Colour, Layout

CAR_OR_OLD = ["car", "moto_old"]


def read(raw: str, layout: Layout | None = None, colour: Colour = "unknown", sure: int = 90) -> PlateText:
    return understand(raw, [sure] * len(raw), layout, colour, offered(raw))


def test_there_are_81_province_codes() -> None:
    assert len(grammar.PROVINCE_CODES) == 81
    assert "68" in grammar.PROVINCE_CODES
    assert not {"10", "13", "42", "44", "45", "46", "87", "91", "96"} & set(grammar.PROVINCE_CODES)


@pytest.mark.parametrize(
    ("raw", "text", "classes"),
    [
        ("30A-123.45", "30A12345", CAR_OR_OLD),
        ("51K-999.99", "51K99999", CAR_OR_OLD),
        ("29-HA 002.33", "29HA00233", ["moto_new"]),
        ("29-B1 123.45", "29B112345", ["moto_old"]),
        ("80B-001.23", "80B00123", ["car"]),
        ("29LD-123.45", "29LD12345", ["special", "moto_new"]),
        ("13A-123.45", "13A12345", []),
        ("30I-123.45", "30I12345", []),
        ("30O-123.45", "30O12345", []),
        ("29-AG 123.45", "29AG12345", []),
        ("29-AR 123.45", "29AR12345", ["moto_new"]),
        ("68A-123.45", "68A12345", CAR_OR_OLD),
        ("68C1-123.45", "68C112345", ["moto_old"]),
        ("68-B1 1234", "68B11234", CAR_OR_OLD),
        ("67-AA 123.45", "67AA12345", ["moto_new"]),
        ("29A-1234", "29A1234", ["car"]),
        ("29MĐ1-123.45", "29MĐ112345", ["moto_electric"]),
        ("80-441-NG-02", "80441NG02", ["diplomatic"]),
        ("TM-12-34", "TM1234", ["army"]),
        ("29B11234", "29B11234", CAR_OR_OLD),
        ("30T-123.45", "30T12345", ["special", "car", "moto_old"]),
        ("29-LD 123.45", "29LD12345", ["special", "moto_new"]),
        ("80-NG-441-02", "80NG44102", ["diplomatic"]),
        ("59-Z1 2345", "59Z12345", CAR_OR_OLD),
    ],
)
def test_plates_as_they_are(raw: str, text: str, classes: list[str]) -> None:
    understood = read(raw)
    assert (understood.text, list(understood.classes)) == (text, classes)
    assert understood.valid == bool(classes)
    assert not understood.repaired


@pytest.mark.parametrize(
    ("raw", "text", "classes"),
    [
        ("3OA12345", "30A12345", CAR_OR_OLD),
        ("30012345", "30D12345", CAR_OR_OLD),
        ("29AA1234S", "29AA12345", ["moto_new"]),
        ("Z9AA12345", "29AA12345", ["moto_new"]),
        ("Z9LD1234", "29LD1234", ["special", "moto_new"]),  # the second letter is kept where it fits
        ("68A12L45", "68A12445", CAR_OR_OLD),  # 4 is read as L, hardly ever 1
        ("6BA1234", "68A1234", ["car"]),
    ],
)
def test_repairs(raw: str, text: str, classes: list[str]) -> None:
    understood = read(raw)
    assert (understood.text, list(understood.classes)) == (text, classes)
    assert understood.valid
    assert understood.repaired
    assert understood.raw == raw


@pytest.mark.parametrize(("read_as", "digit"), [*zip("OQDIJLZASGTB", "000114245678", strict=True)])
@pytest.mark.parametrize("place", [4, 7])
def test_a_letter_where_only_a_digit_may_stand_is_repaired(read_as: str, digit: str, place: int) -> None:
    raw, true = (f"{'51C45678'[:place]}{character}{'51C45678'[place + 1 :]}" for character in (read_as, digit))
    understood = read(raw)
    assert (understood.text, understood.raw, understood.repaired) == (true, raw, True)


@pytest.mark.parametrize(("read_as", "letter"), [*zip("012345678", "DLZBASGZB", strict=True)])
def test_a_digit_where_only_a_letter_may_stand_is_repaired(read_as: str, letter: str) -> None:
    assert read(f"68{read_as}12345").text == f"68{letter}12345"
    assert read(f"68{read_as}1234").text == f"68{letter}1234"


OLDEST = ["60\n412-HR", "43\n208-H3", "60\n531-R", "57\n640-IL", "13\n715-HD", "35\n166-NQ", "83\n902-J"]


@pytest.mark.parametrize("raw", OLDEST)
def test_the_oldest_motorbike_plates_are_white_and_of_two_lines(raw: str) -> None:
    assert read(raw, colour="white").classes == ("moto_oldest",)
    assert read(raw.replace("\n", ""), "two", "white").classes == ("moto_oldest",)  # as after a vote
    for colour in ("yellow", "blue", "red", "unknown"):
        assert not read(raw, colour=colour).valid
    assert not read(raw.replace("\n", ""), "one", "white").valid
    assert not read(raw.replace("\n", "").replace("-", "\n"), colour="white").valid  # the line breaks elsewhere


@pytest.mark.parametrize(
    "raw", ["60\n000-HR", "44\n208-H3", "60\n412-HO", "60\n412-H0", "60\n412-HRA", "35\n500Đ", "60\n4122"]
)
def test_what_only_resembles_the_oldest_plates_is_none(raw: str) -> None:
    assert not understand(raw, [95] * len(raw), "two", "white").valid


def test_the_oldest_plates_are_neither_made_by_a_repair_nor_repaired() -> None:
    for raw in ("6O\n412-HR", "60\n4B2-HR", "60\n412-8R", "I3\n715-HD"):
        assert not read(raw, colour="white").valid
    for colour in ("white", "yellow"):  # lamps, age
        kept = read("60\n785-SB", colour=colour)
        assert (kept.text, kept.valid) == ("60785SB", colour == "white")


@pytest.mark.parametrize("raw", ["53RA\n1234", "13FA\n1234", "60AG\n000.12"])
def test_series_that_no_rule_allows_are_seen_on_the_street_and_stay_not_valid(raw: str) -> None:
    understood = understand(raw, [95] * len(raw), "two", "white", [("", 0)] * sum(map(str.isalnum, raw)))
    assert (understood.text, understood.valid) == (raw.replace("\n", "").replace(".", ""), False)


@pytest.mark.parametrize("raw", ["3OB12E45", "HOTEL", "0123456789", "29AAO2345678", "", "...", "۱۲A12345", "١٢"])
def test_what_no_plate_may_be_stays_as_it_was_read(raw: str) -> None:
    understood = read(raw)
    assert not understood.valid
    assert understood.classes == ()
    assert understood.text == understood.raw == raw.replace(".", "")


@pytest.mark.parametrize("raw", ["19006968", "9006968", "60028425", "6BA12345"])
def test_nothing_is_repaired_without_the_readers_evidence(raw: str) -> None:
    for instead in (offered(raw, grammar.EVIDENCE - 1), ()):
        understood = understand(raw, [100] * len(raw), "two", "white", instead)
        assert (understood.text, understood.valid, understood.confidence) == (raw, False, 1.0)


def test_a_repaired_plate_is_as_sure_as_what_was_put() -> None:
    understood = understand("60070845", [99] * 8, "one", "white", [*offered("60"), ("C", 61), *offered("70845")])
    assert (understood.text, understood.raw, understood.confidence) == ("60C70845", "60070845", 0.61)
    assert understood.char_confidence == (99,) * 8  # of what was read


@pytest.mark.parametrize("top", ["60MD1", "60HD1", "60M01", "60NB1", "60HĐ1"])
def test_an_electric_motorbikes_letter_is_known_by_the_shape(top: str) -> None:
    understood = understand(f"{top}\n12345", [97] * 10, instead=[("", 0)] * 10)
    assert (understood.text, understood.classes) == ("60MĐ112345", ("moto_electric",))
    assert understood.confidence == (0.97 if top == "60MD1" else 0.6)


def test_the_special_series_is_written_with_its_own_letter() -> None:
    assert read("50TD-026.61", "one").text == "50TĐ02661"
    assert read("50TD-026.61", "two").text == "50TD02661"  # may be a motorbike's


@pytest.mark.parametrize("raw", ["29B112345", "29AS1234", "68AL2345", "68A12345"])
def test_a_text_that_fits_is_never_repaired(raw: str) -> None:
    assert read(raw).text == raw


def test_a_plate_on_one_line_is_no_motorbikes() -> None:
    assert read("68B11234", "one").classes == ("car",)
    assert read("29LD12345", "one").classes == ("special",)
    assert read("68B11234", "two").classes == ("car", "moto_old")


def test_the_line_break_tells_car_from_motorbike() -> None:
    assert read("68B\n112.34").classes == ("car",)
    assert read("68-B1\n1234").classes == ("moto_old",)
    assert read("30T1\n2345").classes == ("moto_old",)
    assert read("30T\n12345").classes == ("special", "car")
    assert read("29-MĐ1\n123.45").classes == ("moto_electric",)
    assert read("68-B1\n1234").layout == "two"
    # a break where no class has one decides nothing
    assert read("6\n8B11234").classes == ("car", "moto_old")


def test_lines_that_were_misjudged_do_not_undo_a_plate() -> None:
    understood = read("68C112345", "one")
    assert understood.valid
    assert understood.classes == ("moto_old",)


def test_a_guess_contradicts_neither_lines_nor_colour() -> None:
    assert read("Z9AA12345", "two").text == "29AA12345"
    assert not read("Z9AA12345", "one").valid
    assert read("29512345", colour="white").text == "29S12345"
    assert not read("29512345", colour="blue").valid  # no state body has an S
    assert not read("3OA12345", colour="red").valid  # red plates are the army's


@pytest.mark.parametrize("colour", ["white", "yellow", "blue"])
def test_only_red_plates_are_the_armys(colour: Colour) -> None:
    assert read("TM1234", colour="red").classes == ("army",)
    assert read("TM1234", colour="unknown").classes == ("army",)
    assert not read("TM1234", colour=colour).valid


def test_blue_plates_carry_a_letter_of_the_state() -> None:
    assert read("60A12345", colour="blue").classes == ("car", "moto_old")
    assert read("60CD00013", colour="blue").classes == ("special",)
    assert read("60T12345", colour="blue").classes == ("special",)
    assert read("60A12345", colour="yellow").classes == ("car", "moto_old")  # lamps make white plates yellow


def test_lower_case_other_widths_and_the_icelandic_letter() -> None:
    assert read("29mđ1-12345").text == "29MĐ112345"
    assert read("29mÐ1-12345").text == "29MĐ112345"
    assert read("６８A12345").text == "68A12345"


def test_confidences_follow_their_characters() -> None:
    understood = understand("68A-123", [1, 2, 3, 99, 4, 5, 6])
    assert understood.char_confidence == (1, 2, 3, 4, 5, 6)
    assert understood.confidence == 0.01
    assert understand("68A-123", [1, 2, 3, 4, 5, 6]).char_confidence == (1, 2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match="one for each"):
        understand("68A-123", [1, 2])


def test_rank_prefers_plates_as_they_are_then_longer_then_surer() -> None:
    best_first = [
        read("68A12345", sure=60),
        read("68A1234", sure=95),
        read("68A1234", sure=90),
        read("6BA12345"),
        read("6BAI2345"),
        read("HOTEL123"),
        read("HOTEL"),
    ]
    assert sorted(best_first, key=rank, reverse=True) == best_first


LAYOUTS = st.sampled_from(["one", "two", None])
COLOURS = st.sampled_from(["white", "yellow", "blue", "red", "unknown"])
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text("0123456789ABDILOSTZĐ-. \n", max_size=12),
    st.from_regex(r"[0-9OIZ]{2}[A-Z0-9][A-Z0-9]?[0-9SBGLO]{4,5}", fullmatch=True),
    st.from_regex(r"[0-9OI]{2}\n?[0-9SB]{3}-?[A-Z][A-Z0-9]?", fullmatch=True),
)


@given(raw=TEXTS, layout=LAYOUTS, colour=COLOURS)
def test_any_text_is_understood_or_left_alone(raw: str, layout: Layout | None, colour: Colour) -> None:
    understood = read(raw, layout, colour)
    assert understood.valid == bool(understood.classes)
    assert len(understood.text) == len(understood.raw) == len(understood.char_confidence)
    if understood.valid:
        assert re.fullmatch(r"[A-ZĐ0-9]{5,13}", understood.text)
        as_it_stands = (
            read(understood.text, "two", "white") if "moto_oldest" in understood.classes else read(understood.text)
        )
        assert set(understood.classes) <= set(as_it_stands.classes)
    else:
        assert not understood.repaired
    again = understand(understood.text, understood.char_confidence, understood.layout, colour)
    assert again.text == understood.text
