"""The engine `procedural`: words to pictures, exactly repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.drawn.table import SCENES
from edgewatch.pipeline.scenes.engine import SceneEngine
from edgewatch.pipeline.scenes.procedural.engine import ProceduralEngine
from edgewatch.pipeline.scenes.procedural.wish import Wish, wish_of

SMALL = (160, 96)


@pytest.fixture(scope="module")
def engine() -> SceneEngine:
    engine = ProceduralEngine()
    engine.start()
    return engine


@pytest.mark.parametrize(
    ("prompt", "wish"),
    [
        ("A street in the RAIN, dashcam view", Wish("drive", "day", "rain")),
        ("car park of a warehouse, foggy night", Wish("yard", "night", "fog")),
        ("empty hallway", Wish("corridor", "day", "clear")),
        ("snowy courtyard at dusk", Wish("yard", "dusk", "snow")),
        ("cars on a motorway before sunrise", Wish("drive", "dusk", "clear")),
        ("office corridors at midnight", Wish("corridor", "night", "clear")),
        # The one named first, where as many words speak for each.
        ("a road past a warehouse", Wish("drive", "day", "clear")),
        ("a warehouse by the road", Wish("yard", "day", "clear")),
    ],
)
def test_words_choose_scene_light_and_weather(prompt: str, wish: Wish) -> None:
    assert wish_of(prompt, 1) == wish


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(-5, 2**40))
def test_any_text_is_a_wish_and_the_same_one_each_time(prompt: str, seed: int) -> None:
    wish = wish_of(prompt, seed)
    assert wish.scene in SCENES
    assert wish == wish_of(prompt, seed)


def test_without_a_word_that_names_a_scene_the_seed_decides() -> None:
    assert {wish_of("", seed).scene for seed in range(30)} == set(SCENES)


@pytest.mark.parametrize("prompt", ["rainy road", "yard in the snow, night", "corridor at dusk"])
def test_a_picture_is_finite_within_0_and_1_and_repeated(engine: SceneEngine, prompt: str) -> None:
    image = engine.generate(prompt, 5, SMALL)
    assert image.shape == (96, 160, 3)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert 0.0 <= image.min() < image.max() <= 1.0
    assert image.std() > 0.03
    np.testing.assert_array_equal(ProceduralEngine().generate(prompt, 5, SMALL), image)
    assert (engine.generate(prompt, 6, SMALL) != image).mean() > 0.5


def test_night_is_darker_than_dusk_and_dusk_than_day(engine: SceneEngine) -> None:
    means = [engine.generate(f"yard at {time}", 5, SMALL).mean() for time in ("night", "dusk")]
    assert means[0] < 0.6 * means[1]
    assert means[1] < engine.generate("yard", 5, SMALL).mean()


def test_fog_takes_contrast_most_where_it_is_far(engine: SceneEngine) -> None:
    clear, fog = (engine.generate(f"a yard {what}", 5, SMALL) for what in ("", "in fog"))
    far, near = np.s_[20:36], np.s_[70:]
    assert fog[far].std() < 0.45 * clear[far].std()
    assert fog[near].std() > 0.55 * clear[near].std()


def test_there_is_no_weather_indoors(engine: SceneEngine) -> None:
    dry = engine.generate("corridor", 5, SMALL)
    np.testing.assert_array_equal(engine.generate("corridor, heavy rain", 5, SMALL), dry)


@pytest.mark.parametrize("size", [(32, 96), (640, 8000)])
def test_a_size_that_cannot_be_drawn_is_refused(engine: SceneEngine, size: tuple[int, int]) -> None:
    with pytest.raises(SceneRefused, match="64 to 4096"):
        engine.generate("yard", 1, size)


def test_it_says_its_name_and_closes_twice(engine: SceneEngine) -> None:
    assert engine.name == "procedural-1"
    engine.close()
    engine.close()
