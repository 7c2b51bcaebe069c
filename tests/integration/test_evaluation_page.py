"""The page of an evaluation, in a real browser."""

from __future__ import annotations

import re

import pytest

from edgewatch.tools.evaluation.reporting.report import write_evaluation
from tests.fakes.evaluations import a_comparison, an_evaluation, made_measures
from tests.integration.sheets import Seen, see

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("evaluation")
    page = write_evaluation(an_evaluation(), made_measures(), [a_comparison()], folder)
    return see(page, tmp_path_factory.mktemp("browser"))


def test_page_is_quiet_light_or_dark_and_no_wider_than_a_phone(seen: Seen) -> None:
    seen.assert_fit_for_readers()


def test_page_shows_each_recording_under_both_engines_and_escapes_its_name(seen: Seen) -> None:
    seen.assert_no_text_became_markup()
    assert "crash &lt;script&gt;" in seen.dom
    assert len(re.findall(r"<section ", seen.dom)) == 6
    assert len(re.findall(r'<div class="strip ', seen.dom)) == 12
    assert len(re.findall(r'<figure class="chart"', seen.dom)) == 6
