from __future__ import annotations

import pytest
from markupsafe import Markup

from edgewatch.daemon.web.templating import (
    camera_url,
    environment,
    lasting,
    percent,
    score,
    size,
    tame,
)


def test_a_score_below_1_is_never_rounded_up_to_it() -> None:
    assert [score(one) for one in (0.0, 0.554, 0.999, 1.0)] == ["0.00", "0.55", "0.99", "1.00"]


def test_all_is_only_all() -> None:
    assert [percent(one) for one in (0.0, 0.5, 0.9999, 1.0)] == [
        "0.0 %",
        "50.0 %",
        "99.9 %",
        "100 %",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (8.4, "8.4 s"),
        (90.0, "2 min"),
        (3660.0, "1 h 01 min"),
        (200_000.0, "2 d 7 h"),
    ],
)
def test_stretches_of_time_are_told_in_fitting_units(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_bytes_are_told_in_fitting_units() -> None:
    assert [size(one) for one in (0, 999, 1500, 20_000_000_000)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "20 GB",
    ]


def test_the_address_of_a_camera_is_one_level_whatever_its_name() -> None:
    assert camera_url("../a/b?c#d") == "/cameras/..%2Fa%2Fb%3Fc%23d"


def test_tabs_and_lines_of_a_text_stay_apart() -> None:
    assert tame("one\ntwo") == "one\ntwo"


def test_what_a_template_made_is_left_as_it_is() -> None:
    made = Markup("<b>x</b>")
    assert tame(made) is made


def test_every_template_escapes_and_knows_no_forgotten_value() -> None:
    made = environment()
    assert made.autoescape is True
    for name in made.list_templates():
        assert made.get_template(name).name == name
    with pytest.raises(Exception, match="undefined"):
        made.from_string("{{ forgotten }}").render()


def test_no_template_has_script_or_style_of_its_own() -> None:
    made = environment()
    for name in made.list_templates():
        assert made.loader is not None
        source = made.loader.get_source(made, name)[0]
        assert " style=" not in source, name
        assert "<style" not in source, name
        assert source.count("<script") == source.count("<script src=") + source.count(
            '<script type="module" src='
        ), name
        assert "://" not in source.replace("http://www.w3.org", ""), name
