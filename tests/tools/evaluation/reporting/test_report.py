import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.reporting.markdown import escaped, markdown
from edgewatch.tools.evaluation.reporting.report import print_evaluation, summary, write_evaluation
from edgewatch.tools.evaluation.reporting.report_page import MOST_DIFFERING, render_evaluation
from edgewatch.tools.evaluation.reporting.strips import MOST_DRAWN
from edgewatch.tools.evaluation.statistics.measures import compare_runs, measure_run
from edgewatch.tools.metrics import Confusion
from tests.fakes.evaluations import (
    FIRST,
    FORMULA,
    HOSTILE,
    SECOND,
    a_comparison,
    a_group,
    a_run,
    an_evaluation,
    made_measures,
)

EVIL = "<img src=x onerror=alert(2)>"


class Text(HTMLParser):
    """What a reader sees, without tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render_evaluation(an_evaluation(), made_measures(), [a_comparison()])


@pytest.fixture(scope="module")
def text(page: str) -> str:
    return str(Text(page))


def printed(evaluation: Evaluation, width: int = 200) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width)
    print_evaluation(console, evaluation, made_measures(), [a_comparison()])
    return out.getvalue()


# -- the folder -------------------------------------------------------------------------------


def test_report_writes_its_five_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    at = write_evaluation(an_evaluation(), made_measures(), [a_comparison()], tmp_path / "a" / "b")
    assert at == tmp_path / "a" / "b" / "report.html"
    assert sorted(one.name for one in at.parent.iterdir()) == [
        "clips.csv",
        "recordings.csv",
        "report.html",
        "report.md",
        "summary.json",
    ]


def test_folder_that_cannot_be_made_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--report .*/file/out: cannot be written.*another"):
        write_evaluation(an_evaluation(), made_measures(), [], tmp_path / "file" / "out")


@pytest.mark.parametrize(
    "kept",
    [range(6), [0], [4], [5], [2, 3]],
    ids=["all", "one_anomaly", "one_normal", "without_window", "one_drive"],
)
def test_figures_measured_for_real_are_told_in_every_form_however_few(
    tmp_path: Path, kept: Sequence[int]
) -> None:
    runs = tuple(
        replace(one, recordings=tuple(one.recordings[at] for at in kept))
        for one in an_evaluation().runs
    )
    evaluation = an_evaluation(runs=runs)
    measures = [measure_run(one, resamples=20) for one in runs]
    pairs = [compare_runs(*runs)]
    folder = write_evaluation(evaluation, measures, pairs, tmp_path).parent
    print_evaluation(Console(file=io.StringIO()), evaluation, measures, pairs)
    texts = [one.read_text() for one in folder.iterdir()]
    assert len(texts) == 5
    for text in texts:
        assert not re.search(r"\b(nan|NaN|inf|None)\b", text)


# -- the page ---------------------------------------------------------------------------------


def test_page_asks_for_nothing_outside_itself(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert "http" not in page.replace("http-equiv", "").replace('"http://x"', "").replace(
        "&#34;http://x&#34;", ""
    )


def test_page_says_what_was_judged_and_how_little_that_is(text: str) -> None:
    assert "6 labelled recordings (2 Normal, 4 Anomaly; 3 incident windows marked)" in text
    assert "of which 2 are views of 1 drive and count once each" in text
    assert "one drive judged otherwise moves accuracy by 20.0 points." in text
    assert "5 drives are few: intervals are wide." in text
    assert "1 recording could not be judged and is in no figure here." in text


def test_page_shows_f1_with_its_interval_beside_that_of_always_anomaly(page: str) -> None:
    row = re.search(r"<tr><td[^>]*><span><abbr[^>]*>fp4</abbr>.*?</tr>", page)
    assert row
    cells = [str(Text(one)) for one in re.findall(r"<td.*?</td>", row[0])]
    assert cells[:5] == ["fp4 simulated", "all 5 drives", "event", "0.67 [0.37, 0.87]", "0.75"]
    assert 'class="tone-bad">0.67' in row[0]


def test_page_tells_controls_in_plain_sentences_and_why_one_is_missing(text: str) -> None:
    assert text.count("0.55 [0.40, 0.70] Clips of before the incident look like normal ones.") == 2
    assert "n/a no recording has both kinds of clips Nothing can be said." in text


def test_page_marks_the_simulated_engine_at_its_costs(page: str, text: str) -> None:
    costs = page[page.index("<h2>Time, memory, energy</h2>") :]
    assert "15.40 GB" in costs
    assert "610 J" in costs
    assert "this processor does not tell its energy" in costs
    assert "p50 16.0, p95 17.0" in costs
    said = "fp4: NVFP4 imitated in bfloat16. Its times, memory and energy say nothing of the device"
    assert said in text


def test_page_draws_each_level_with_every_engine_in_it(page: str) -> None:
    charts = re.findall(r'<figure class="chart">(.*?)</figure>', page, re.DOTALL)
    titles = [re.findall(r"<figcaption>(.*?)</figcaption>", one)[0] for one in charts]
    assert titles == [
        *("Drives: ROC", "Drives: precision and recall", "Clips: ROC"),
        *("Clips: precision and recall", FIRST, SECOND),
    ]
    for one in charts[:4]:
        assert re.findall(r'<g class="(look\d)"><path class="line" d="M', one) == ["look0", "look1"]
        assert f"<b>{FIRST}</b>" in one
        assert f"<b>{SECOND}</b>" in one


def test_page_compares_engines_in_words(text: str) -> None:
    assert "answered the same for 3 of 5 drives (agreement 0.60 [0.15, 0.95])" in text
    assert "A alone was right twice, B alone never: p = 0.50; chance may well explain it." in text
    assert "0.20 [-0.10, 0.50], p = 0.19 by DeLong's test; chance may well explain it." in text


def test_page_shows_clips_on_which_engines_differ_with_their_pictures(page: str) -> None:
    part = page[page.index('<div class="differing">') : page.index("<h2>Recordings</h2>")]
    assert part.count("<figure>") == 5
    assert part.count('<img src="data:image/jpeg;base64,') == 4
    assert part.count("no picture") == 1
    assert "A Normal 0.10 · B Anomaly 0.70" in part


def test_page_has_a_strip_of_scores_for_each_engine_and_recording(page: str) -> None:
    sections = re.findall(r"<section .*?</section>", page, re.DOTALL)
    assert len(sections) == 6
    assert [one.count("<svg ") for one in sections] == [2] * 6
    crash = sections[0]  # engines differ on it
    assert "crash &lt;script&gt;" in crash
    assert crash.count('class="truth"') == 2
    assert crash.count('class="hot"') == 3
    assert crash.count('<div class="lane">') == 1
    assert 'class="truth"' not in sections[-1]


def test_each_link_on_the_page_leads_somewhere(page: str) -> None:
    targets = set(re.findall(r'href="#([^"]*)"', page))
    assert targets == {f"r{number}" for number in range(1, 7)}
    assert all(f'id="{one}"' in page for one in targets)


def test_page_escapes_every_text() -> None:
    recordings = tuple(
        replace(one, name=f"{EVIL}{at}", group=EVIL, drive=EVIL, view=EVIL)
        for at, one in enumerate(a_run(EVIL, 0).recordings)
    )
    run = replace(a_run(EVIL, 0), recordings=recordings, engine=EVIL, simulated=EVIL)
    (measured, _) = made_measures()
    group = a_group(EVIL, Confusion(1, 1, 1, 1))
    control = replace(group.pre_incident, meaning=EVIL)
    measured = replace(
        measured,
        asked=EVIL,
        simulated=EVIL,
        notes=(EVIL,),
        groups=(replace(group, pre_incident=control), group),
    )
    pair = a_comparison()
    differing = tuple(replace(one, recording=EVIL) for one in pair.differing)
    pair = replace(pair, first=EVIL, second=EVIL, differing=differing, notes=(EVIL,))
    evaluation = an_evaluation(
        dataset=EVIL,
        runs=(run,),
        failed=tuple(replace(one, name=EVIL, reason=EVIL) for one in an_evaluation().failed),
        duplicates=tuple(replace(one, first=EVIL) for one in an_evaluation().duplicates),
        settings={EVIL: EVIL},
    )
    found = render_evaluation(evaluation, (measured,), [pair])
    assert "<img src=x" not in found
    assert found.count("&lt;img src=x") > 40
    told = "".join(markdown(evaluation, (measured,), [pair]))
    assert "<img" not in told


def test_page_of_very_many_recordings_draws_the_most_instructive_and_says_so() -> None:
    run = a_run(FIRST, 0)
    quiet = replace(run.recordings[4], clips=run.recordings[4].clips[:2])
    many = tuple(replace(quiet, name=f"{at}.mp4") for at in range(MOST_DRAWN + 5))
    evaluation = an_evaluation(runs=(replace(run, recordings=(*many, run.recordings[3])),))
    found = render_evaluation(evaluation, made_measures()[:1], [])
    assert found.count("<section ") == MOST_DRAWN
    assert "6 more recordings are in recordings.csv and clips.csv." in found
    assert found.index('id="r1"') < found.index("night/left.mp4</h3>") < found.index('id="r2"')


def test_page_shows_a_bounded_number_of_differing_clips_and_says_of_how_many() -> None:
    pair = a_comparison()
    pair = replace(pair, differing=pair.differing[:1] * (MOST_DIFFERING + 1))
    found = render_evaluation(an_evaluation(), made_measures(), [pair])
    assert found.count('<div class="none">') == MOST_DIFFERING
    assert f"they differ: {MOST_DIFFERING} of {MOST_DIFFERING + 1}, the largest" in found


def test_page_of_one_engine_has_no_side_by_side() -> None:
    found = render_evaluation(an_evaluation(runs=(a_run(FIRST, 0),)), made_measures()[:1], [])
    assert "Side by side" not in found
    assert "engines differ" not in found


def test_page_without_a_recording_still_says_why() -> None:
    nothing = replace(made_measures()[0], groups=(a_group("", Confusion()),))
    run = replace(a_run(FIRST, 0), recordings=())
    found = render_evaluation(an_evaluation(runs=(run,), pictures=()), (nothing,), [])
    assert "ends in the middle" in found


# -- the summary ------------------------------------------------------------------------------


def test_summary_is_json_without_nan_and_has_figures_with_intervals() -> None:
    found = summary(an_evaluation(), made_measures(), [a_comparison()])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["recordings"], found["clips"], found["footage_seconds"]) == (6, 65, 177.5)
    overall = found["measures"][1]["groups"][0]["recordings"]
    assert overall["answers"]["f1"] == {
        "value": 0.666667,
        "low": 0.366667,
        "high": 0.866667,
        "reason": "",
    }
    assert overall["answers"]["always_anomaly_f1"]["value"] == 0.75
    assert overall["answers"]["confusion"]["false_normal"] == 1
    assert found["comparisons"][0]["delong"]["p_value"] == 0.19
    assert found["near_duplicates"][0]["similarity"] == 0.97
    assert found["failed"] == [{"name": "torn <b>.mp4", "reason": "ends in the middle"}]


def test_summary_tells_costs_as_quantiles_and_which_engine_was_simulated() -> None:
    first, second = summary(an_evaluation(), made_measures(), [])["engines"]
    assert first["engine_ms"] == {"mean": 10.984615, "p50": 11.0, "p95": 12.0}
    assert first["clips_per_second"] == 5.416667
    assert first["energy_source"] == "this processor does not tell its energy"
    assert (first["simulated"], second["simulated"]) == (None, "NVFP4 imitated in bfloat16")


def test_summary_has_each_recordings_answers() -> None:
    first = summary(an_evaluation(), made_measures(), [])["results"][0]
    assert first["recording"] == HOSTILE
    assert [one["answer"] for one in first["answers"]] == ["Anomaly", "Normal"]
    assert first["windows"] == [{"start_seconds": 5.0, "end_seconds": 12.0}]
    assert first["answers"][0]["events"][0]["start_seconds"] == 5.0


# -- Markdown and the terminal ----------------------------------------------------------------


def test_markdown_tables_have_as_many_cells_in_each_row() -> None:
    told = "".join(markdown(an_evaluation(), made_measures(), [a_comparison()]))
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", told, re.MULTILINE)]
    assert len(blocks) == 9
    for lines in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "| fp4 (simulated) | all (5 drives) | event | 0.67 \\[0.37, 0.87\\] | 0.75 |" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines", "two lines"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[x](y)", r"\[x\](y)"),
    ],
)
def test_markdown_shows_names_as_they_are(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_terminal_has_answers_side_by_side_figures_controls_and_failures() -> None:
    told = printed(an_evaluation())
    assert re.search(r"quiet\.mp4 +Normal +Normal +0\.02 s +Normal +1\.02 s", told)
    assert re.search(r"fp4 +all +event +0\.67 +0\.75 +0\.60 +0\.67 +0\.67", told)
    assert "before the incident: 0.55 [0.40, 0.70]. Clips of before" in told
    assert "nearly the same pictures (0.97): night/front.mp4 and night/left.mp4" in told
    assert "failed torn <b>.mp4: ends in the middle" in told
    assert "6 recordings, 65 clips, 2 engines; 2 min 58 s of footage in 1 min 15 s" in told


def test_terminal_takes_no_name_for_markup() -> None:
    run = a_run(FIRST, 0)
    named = replace(run.recordings[0], name="[red]x[/].mp4")
    evaluation = an_evaluation(runs=(replace(run, recordings=(named,)),))
    assert "[red]x[/].mp4" in printed(evaluation)
    assert FORMULA not in printed(evaluation)


def test_terminal_is_readable_at_eighty_columns() -> None:
    assert max(len(line) for line in printed(an_evaluation(), 80).splitlines()) <= 80
