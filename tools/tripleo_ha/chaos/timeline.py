"""The picture of a campaign: what clients saw over time, and what was done to the cluster meanwhile.

One lane a workload: how many successes (filled), outages of at least one process (bars), attempts without success
(ticks). Strikes are spans over all lanes with their labels above, and a mark below when full redundancy was regained.
"""

import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from tripleo_ha.chaos.document import Campaign
from tripleo_ha.chaos.figures import StrikeFigures
from tripleo_ha.chaos.lanes import Lane, lanes, spread
from tripleo_ha.chaos.model import Operation
from tripleo_ha.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 100
LEFT, RIGHT, LANE, LABELS, AXIS = 130, 20, 34, 200, 76
"""Pixels: names of lanes, right margin, height of a lane, room for the strikes' labels, axis and legend."""
NARROWEST, A_STRIKE, LABEL = 1000, 24, 11
"""Pixels: the plot's least width, its width for each strike, and the least distance of two labels."""
SUCCESS, GAP, REFUSED, UNKNOWN, STRIKE, WHOLE = "#3f9b5f", "#d6453d", "#d6453d", "#e0962b", "#7f8fa6", "#3b82c4"
INK = "#010203"
"""Stands for the page's own colour of text, which the drawing library cannot name."""
STYLE = (
    "<style>.chaos-timeline{color:#222;background:#fff}"
    "@media(prefers-color-scheme:dark){.chaos-timeline{color:#ddd;background:#16181b}}</style>"
)
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "tripleo-ha", "font.family": "sans-serif", "font.size": 9}


def draw(campaign: Campaign, operations: Iterable[Operation]) -> str:
    """Return a campaign's timeline as an SVG document, for light and dark pages.

    :raises UsageError: the library that draws it is not installed.
    """
    done = list(operations)
    strikes = campaign.figures.strikes
    ends = [*(each.ended for each in done), *(each.strike.redundant or each.strike.healed for each in strikes)]
    span = max(ends, default=campaign.zero + 1) - campaign.zero
    return _svg(lanes(done, campaign.zero, span), strikes, campaign.zero, span)


def _svg(found: Sequence[Lane], strikes: Sequence[StrikeFigures], zero: float, span: float) -> str:
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("the timeline needs matplotlib", "install the extra: tools/bootstrap chaos") from error
    plot = max(NARROWEST, A_STRIKE * len(strikes))
    width, body = LEFT + plot + RIGHT, LANE * max(1, len(found))
    height = LABELS + body + AXIS
    with rc_context(SETTINGS):  # of the files' text; no figure is kept anywhere
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        FigureCanvasSVG(figure)
        axes = figure.add_axes((LEFT / width, AXIS / height, plot / width, body / height))
        _axes(axes, found, span)
        for place, lane in enumerate(found):
            _lane(axes, lane, len(found) - 1 - place, span, plot)
        _strikes(axes, strikes, zero, span / plot, len(found))
        _legend(figure)
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Title": "what clients saw"})
    # A hundredth of a pixel is enough, and makes the file half as large.
    text = re.sub(r"(\.\d\d)\d+", r"\1", out.getvalue())
    # One class for the page's colours, and a mark in whose place the text takes them.
    head, rest = text.replace(INK, "currentColor").split("<svg ", 1)
    opening, rest = rest.split(">", 1)
    return f'{head}<svg class="chaos-timeline" {opening}>{STYLE}{rest}'


def _axes(axes: "Axes", found: Sequence[Lane], span: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, span)
    axes.set_ylim(-0.25, max(1, len(found)))
    axes.set_yticks([place + 0.4 for place in range(len(found))], [str(lane.workload) for lane in reversed(found)])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 1.5, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axes.tick_params(colors=INK, labelcolor=INK, length=3)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("minutes:seconds of the campaign", color=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)


def clock(seconds: float) -> str:
    """Return a time of a campaign for a person."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _lane(axes: "Axes", lane: Lane, base: int, span: float, plot: int) -> None:
    width = span / len(lane.density)
    edges = [width * place for place in range(len(lane.density) + 1)]
    axes.stairs([base + 0.65 * share for share in lane.density], edges, baseline=base, fill=True, color=SUCCESS, lw=0)
    # A bar of less than a pixel and a half would not be seen.
    thin = 1.5 * span / plot
    bars = [(began, max(ended - began, thin)) for began, ended in lane.gaps]
    _boxes(axes, [(began, base, length, 0.8) for began, length in bars], GAP, 0.75)
    for times, bottom, color in ((lane.refused, -0.2, REFUSED), (lane.unknown, -0.12, UNKNOWN)):
        _boxes(axes, [(at - thin / 2, base + bottom, thin, 0.1) for at in times], color, 1.0)


def _boxes(axes: "Axes", boxes: Iterable[tuple[float, float, float, float]], color: str, alpha: float) -> None:
    """Draw rectangles (left, bottom, width, height) as one path, which takes a tenth of the room of single ones."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    paths = [
        Path([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)], closed=True) for x, y, w, h in boxes if w > 0
    ]
    if paths:
        axes.add_patch(PathPatch(Path.make_compound_path(*paths), facecolor=color, alpha=alpha, linewidth=0))


def _strikes(axes: "Axes", strikes: Sequence[StrikeFigures], zero: float, pixel: float, top: int) -> None:
    spans = [(each.strike.injected - zero, each.strike.healed - each.strike.injected) for each in strikes]
    _boxes(axes, [(at, -0.25, max(length, 2 * pixel), top + 0.25) for at, length in spans], STRIKE, 0.25)
    marks = [each.strike.redundant - zero for each in strikes if each.strike.redundant is not None]
    axes.plot(marks, [-0.25] * len(marks), linestyle="", marker="^", markersize=5, color=WHOLE, clip_on=False)
    wanted = [at for at, _ in spans]
    for each, at, place in zip(strikes, wanted, spread(wanted, LABEL * pixel), strict=True):
        trouble = each.strike.trouble or each.strike.redundant is None
        axes.annotate(
            label(each),
            xy=(at, top),
            xytext=(place, top + 0.3),
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
            color=GAP if trouble else INK,
            arrowprops={"arrowstyle": "-", "color": STRIKE, "lw": 0.5, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def label(each: StrikeFigures) -> str:
    """Return what stands above a strike: its number, fault and the numbers of its nodes; cut to the room there is."""
    nodes = ",".join(name.rpartition("-")[2] for name in each.strike.nodes)
    text = f"{each.strike.number} {each.strike.fault} {nodes}".strip()
    return text if len(text) <= 34 else text[:33] + "…"


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [
        Patch(color=SUCCESS, label="successes"),
        Patch(color=GAP, alpha=0.75, label="at least one client without success"),
        Line2D([], [], color=REFUSED, marker="|", linestyle="", label="refused"),
        Line2D([], [], color=UNKNOWN, marker="|", linestyle="", label="end unknown"),
        Patch(color=STRIKE, alpha=0.25, label="cause of a strike there"),
        Line2D([], [], color=WHOLE, marker="^", linestyle="", label="full redundancy"),
    ]
    figure.legend(
        handles=shown, loc="lower left", bbox_to_anchor=(0, -0.01), ncols=6, frameon=False, fontsize=8, labelcolor=INK
    )
