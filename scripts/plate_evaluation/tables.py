"""Prints what was measured: a block for every make of photos, none of them mixed with another."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scripts.plate_evaluation.measure import BareRead
from scripts.plate_evaluation.score import SAME_PLATE_EDITS
from scripts.plate_evaluation.summary import (
    SURE,
    Bin,
    Peer,
    Photo,
    Summary,
    calibration,
    groups,
    percentile,
    summarise,
    sure,
    widths,
)

SENT = 0.5
"""Cameras send reads of this confidence and more, unless they are set otherwise."""
MOST_SHOWN = 10
LINES = {"one": "one line", "two": "two lines", "": "lines not said"}
LEGEND = (
    "inexact: the named plate was found, but not letter for letter; another: it was not, another valid plate was; "
    "nothing: no valid plate. chars: of the named plates' characters. found: of the plates, at their place or within "
    "two edits."
)


def show_photos(photos: Sequence[Photo], console: Console) -> None:
    """Print how photos with known plates were read."""
    console.print(LEGEND, style="dim", highlight=False)
    for name, some in groups(photos, lambda photo: photo.label.group):
        summary = summarise(some)
        table = _frame(f"{name}: {len(some)} photos, {summary.named} name a plate", with_peer=summary.peer is not None)
        _row(table, "all", summary, last=True)
        for section in (
            groups(some, lambda photo: photo.label.colour or "colour not said"),
            groups(some, lambda photo: LINES[photo.label.layout]),
            groups(some, lambda photo: photo.label.vehicle or "vehicle not said"),
            widths(some),
        ):
            for number, (group, members) in enumerate(section, start=1):
                _row(table, group, summarise(members), last=number == len(section))
        console.print(table)
        if summary.peer:
            _show_peer(summary, summary.peer, console)
        _show_calibration(some, console)


def _frame(title: str, *, with_peer: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    headings = ["photos", "exact %", "inexact", "another", "nothing", "chars %", "found %", "ms", "95 %"]
    for heading in headings + (["peer exact %", "ms", "95 %"] if with_peer else []):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _row(table: Table, name: str, summary: Summary, *, last: bool) -> None:
    outcomes = [summary.outcomes[outcome] for outcome in ("inexact", "other", "nothing")]
    cells = [
        str(summary.photos),
        percent(summary.exact),
        *(str(count) if summary.named else "-" for count in outcomes),
        percent(summary.characters),
        percent(summary.found),
        f"{summary.ms:.1f}",
        f"{summary.ms_95:.1f}",
    ]
    if summary.peer:
        cells += [percent(summary.peer.exact), f"{summary.peer.ms:.0f}", f"{summary.peer.ms_95:.0f}"]
    table.add_row(name, *cells, end_section=last)


def _show_peer(ours: Summary, peer: Peer, console: Console) -> None:
    console.print(
        f"Exact: ours {percent(ours.exact)} %, the peer {percent(peer.exact)} %. The peer takes "
        f"{peer.ms / ours.ms:.1f} times as long at the median, {peer.ms_95 / ours.ms_95:.1f} times at 95 %; "
        f"processor time at the median: {ours.cpu_ms:.1f} and {peer.cpu_ms:.0f} ms, "
        f"{peer.cpu_ms / ours.cpu_ms:.1f} times.",
        highlight=False,
    )


def _show_calibration(photos: Sequence[Photo], console: Console) -> None:
    bins = [some for some in calibration(photos) if some.right + some.wrong + some.elsewhere]
    if not bins:
        return
    table = Table(title="Valid reads by confidence", title_justify="left")
    for heading in (
        "confidence",
        "right",
        f"wrong within {SAME_PLATE_EDITS} edits",
        "right %",
        "of other vehicles, or made up",
    ):
        table.add_column(heading, justify="right")
    for some in bins:
        _bin_row(table, f"{some.low:g} to {some.high:g}", some, last=some is bins[-1])
    _bin_row(table, f"{SURE:g} and more", sure(photos), last=True)
    console.print(table)


def _bin_row(table: Table, name: str, some: Bin, *, last: bool) -> None:
    table.add_row(
        name, str(some.right), str(some.wrong), percent(some.share_right), str(some.elsewhere), end_section=last
    )


def show_bare(reads: Sequence[BareRead], console: Console) -> None:
    """Print what was read where no plate is."""
    table = Table(title="Photos without plates", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    levels = (f"of {SENT:g} and more", f"of {SURE:g} and more")
    for heading in ("photos", "with a false valid plate", "%", *levels, "false a photo", "ms", "95 %"):
        table.add_column(heading, justify="right")
    sources = list(dict.fromkeys(read.picture.source for read in reads))
    for source in sources:
        _bare_row(table, source, [read for read in reads if read.picture.source == source], last=source == sources[-1])
    if len(sources) > 1:
        _bare_row(table, "all", reads, last=True)
    console.print(table)
    false = [(read.picture, sight.read) for read in reads for sight in read.false]
    for picture, text in false[:MOST_SHOWN]:
        console.print(f"  {text.text} at {text.confidence:.2f} in {picture.name} ({picture.source})", highlight=False)
    if len(false) > MOST_SHOWN:
        console.print(f"  and {len(false) - MOST_SHOWN} more")


def _bare_row(table: Table, name: str, reads: Sequence[BareRead], *, last: bool) -> None:
    surest = [max((sight.read.confidence for sight in read.false), default=-1.0) for read in reads]
    wrong, sent, certain = (sum(one >= least for one in surest) for least in (0.0, SENT, SURE))
    times = [read.ms for read in reads]
    table.add_row(
        name,
        str(len(reads)),
        str(wrong),
        percent(wrong / len(reads)),
        str(sent),
        str(certain),
        f"{sum(len(read.false) for read in reads) / len(reads):.3f}",
        f"{percentile(times, 50):.1f}",
        f"{percentile(times, 95):.1f}",
        end_section=last,
    )


def percent(share: float | None) -> str:
    """Write a share of 0 to 1 as per cent."""
    return "-" if share is None else f"{100 * share:.1f}"
