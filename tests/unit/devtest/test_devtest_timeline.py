"""Where the time went, on one axis"""

from pathlib import Path

from tripleo_ha.devtest import timeline
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.devtest.timeline import Step


def test_everybody_is_on_one_axis() -> None:
    bed = [Step(step="boot", start=100.0, end=105.0), Step(step="converge", start=105.0, end=110.0)]
    node = [Step(step="haproxy", start=108.0, end=110.0), Step(step="galera", start=106.0, end=108.0)]
    rows = timeline.rows({"bed": bed, "node": node}, width=10)
    assert [(who, step, at, took) for who, step, at, took, _ in rows] == [
        ("bed", "boot", 0.0, 5.0),
        ("bed", "converge", 5.0, 5.0),
        ("node", "galera", 6.0, 2.0),
        ("node", "haproxy", 8.0, 2.0),
    ]
    assert [bar for *_, bar in rows] == ["█████", "     █████", "      ██", "        ██"]


def test_a_step_of_no_length_is_seen_and_stays_on_the_axis() -> None:
    steps = [Step(step="a", start=0.0, end=1.0), Step(step="b", start=1.0, end=1.0)]
    assert [len(bar) for *_, bar in timeline.rows({"x": steps}, width=8)] == [8, 8]
    assert timeline.rows({"x": []}) == []


def test_files_that_tell_nothing_are_no_steps(tmp_path: Path) -> None:
    assert timeline.load(tmp_path / "none") == []
    for content in ("", "{}", "3", '[{"step": "x"}]'):
        (tmp_path / "file").write_text(content)
        assert timeline.load(tmp_path / "file") == []


def test_steps_are_kept_even_of_a_call_that_failed(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "log")
    try:
        with progress.keeping(tmp_path / "timeline.json"), progress.step("boot"):
            raise OSError
    except OSError:
        pass
    assert [step["step"] for step in timeline.load(tmp_path / "timeline.json")] == ["boot"]
