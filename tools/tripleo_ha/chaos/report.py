"""Writing the report on campaigns from what their directories hold, and nothing else."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tripleo_ha.chaos import figures, timeline
from tripleo_ha.chaos.document import FORMAT, Campaign, document
from tripleo_ha.chaos.figures import Figures
from tripleo_ha.chaos.model import Finding, Kind, Operation, Overlap, Strike, Verdict, read_operations
from tripleo_ha.errors import UsageError

__all__ = ["FORMAT", "read", "write"]

TEMPLATE = "report.html.j2"
JSON, HTML, TIMELINE = "report.json", "report.html", "timeline.svg"
COMBINED = "combined"


def write(directories: Path | Sequence[Path], output: Path | None = None) -> Figures:
    """Write ``report.json``, ``report.html`` and ``timeline.svg`` on campaigns, and return their figures.

    :param directories: of one campaign, or of several, which are then reported on together.
    :param output: where to; by default into the directory itself, and for several into ``combined`` beside the first.
    :raises UsageError: a directory holds no campaign, or its files are not what a campaign writes, or the libraries
        that draw the report are not installed.
    """
    places = [directories] if isinstance(directories, Path) else list(dict.fromkeys(directories))
    if not places:
        raise UsageError("no campaign to report on", "name the directory of at least one")
    environment = _environment()
    campaigns, pictures = [], []
    for place in places:
        campaign, operations = read(place)
        campaigns.append(campaign)
        pictures.append(timeline.draw(campaign, operations))
    total = campaigns[0].figures if len(campaigns) == 1 else figures.combined([each.figures for each in campaigns])
    told = document(campaigns, total)
    where = output or (places[0] if len(places) == 1 else places[0].parent / COMBINED)
    where.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        name = TIMELINE if len(pictures) == 1 else f"timeline-{number}.svg"
        (where / name).write_text(picture)
    (where / JSON).write_text(json.dumps(told, indent=1) + "\n")
    page = environment.get_template(TEMPLATE).render(report=told, pictures=[_inline(each) for each in pictures])
    (where / HTML).write_text(page)
    return total


def read(directory: Path) -> tuple[Campaign, list[Operation]]:
    """Read what a campaign left, finished or not.

    :raises UsageError: it is none.
    """
    if not (directory / "campaign.json").is_file():
        raise UsageError(
            f"{directory} holds no campaign", "`tripleo-ha chaos` writes one, by default in reports/chaos/"
        )
    try:
        operations = list(read_operations(sorted((directory / "history").glob("*.jsonl")), lean=True))
        strikes = [_strike(record) for record in _lines(directory / "strikes.jsonl")]
        starts = [*(each.began for each in operations), *(each.injected for each in strikes)]
        campaign = Campaign(
            name=directory.resolve().name,
            about=json.loads((directory / "campaign.json").read_text()),
            figures=figures.of(strikes, operations),
            verdicts=_verdicts(directory / "verdicts.json"),
            overlaps=tuple(_overlap(record) for record in _lines(directory / "overlaps.jsonl")),
            zero=min(starts, default=0.0),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{directory} is not as a campaign leaves it: {type(error).__name__}: {error}") from error
    return campaign, operations


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # the last may be cut short by a crash
                yield json.loads(line)


def _strike(record: dict[str, Any]) -> Strike:
    return Strike(**{**record, "kind": Kind(record["kind"]), "nodes": tuple(record["nodes"])})


def _overlap(record: dict[str, Any]) -> Overlap:
    return Overlap(**{**record, "nodes": tuple(record["nodes"])})


def _verdicts(path: Path) -> tuple[Verdict, ...] | None:
    if not path.is_file():
        return None
    return tuple(
        Verdict(
            checker=record["checker"],
            findings=tuple(Finding(**finding) for finding in record["findings"]),
            counts=record.get("counts", {}),
        )
        for record in json.loads(path.read_text())
    )


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("the report needs Jinja2", "install the extra: tools/bootstrap chaos") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["s"] = partial(_seconds, "–")
    environment.filters["errors"] = errors
    environment.filters["words"] = words
    return environment


def _inline(picture: str) -> Any:
    import markupsafe

    return markupsafe.Markup(picture[picture.index("<svg") :])  # noqa: S704 — drawn here, its texts escaped


def _seconds(unknown: str, value: float | None) -> str:
    return unknown if value is None else f"{value:.2f}"


def errors(found: dict[str, dict[str, int]]) -> str:
    """Return errors by kind as a line, the most frequent first."""
    totals = sorted(((sum(counts.values()), error) for error, counts in found.items()), key=lambda each: -each[0])
    return ", ".join(f"{count} × {error}" for count, error in totals)


def words(value: Any) -> str:
    """Return what is in ``campaign.json`` for a person: a list as a command, a mapping as pairs."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "–" if value is None else str(value)
