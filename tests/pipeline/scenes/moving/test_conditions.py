"""Light, weather and sensor: each pixel for itself, the same for the same seed, and as named."""

from __future__ import annotations

import numpy as np
import pytest

from edgewatch.pipeline.scenes.moving.depth import Street
from edgewatch.pipeline.scenes.moving.light import LIGHTS, Light, Lighting
from edgewatch.pipeline.scenes.moving.sensor import Sensor
from edgewatch.pipeline.scenes.moving.weather import WEATHERS, Falling, Weather
from edgewatch.pipeline.types import Pixels

SIZE = (160, 96)
STREET = Street(SIZE, (80.0, 40.0), 4.0)


def _picture(level: int = 120) -> Pixels:
    ramp = np.linspace(-40, 40, SIZE[0])[None, :, None]
    return np.clip(level + ramp + np.zeros((SIZE[1], SIZE[0], 3)), 0, 255).astype(np.uint8)


def _developed(pixels: Pixels, light: Light, weather: Weather, at: float = 1.3) -> Pixels:
    lighting = Lighting(light, 3, SIZE)
    lit = lighting.vary(lighting.tone(pixels), at)
    return Sensor(3, SIZE, 2.0).expose(Falling(weather, 3, STREET).in_front_of(lit, at), 20, 15.0)


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("weather", WEATHERS)
def test_a_pixel_that_was_not_changed_before_is_not_changed_after(
    light: Light, weather: Weather
) -> None:
    picture = _picture()
    changed = picture.copy()
    changed[30:50, 60:90] = (250, 20, 60)
    differs = (_developed(picture, light, weather) != _developed(changed, light, weather)).any(2)
    assert differs[30:50, 60:90].mean() > 0.9
    differs[30:50, 60:90] = False
    assert not differs.any()


def test_conditions_change_with_time_and_repeat_with_the_seed() -> None:
    picture = _picture()
    for light, weather in (("cloud", "clear"), ("flicker", "rain"), ("day", "snow")):
        first = _developed(picture, light, weather, 0.4)  # type: ignore[arg-type]  # from a table
        again = _developed(picture, light, weather, 0.4)  # type: ignore[arg-type]  # from a table
        later = _developed(picture, light, weather, 0.9)  # type: ignore[arg-type]  # from a table
        np.testing.assert_array_equal(first, again)
        assert np.abs(first.astype(int) - later).mean() > 0.3


def test_a_clear_day_without_noise_leaves_the_picture_alone() -> None:
    picture = _picture()
    lighting = Lighting("day", 1, SIZE)
    same = lighting.vary(lighting.tone(picture), 2.0)
    same = Falling("clear", 1, STREET).in_front_of(same, 2.0)
    assert Sensor(1, SIZE, 0.0).expose(same, 4, 15.0) is picture


def test_night_is_dark_and_blue_and_dusk_is_warm() -> None:
    grey = np.full((96, 160, 3), 150, np.uint8)
    night, dusk = (
        Lighting(light, 1, SIZE).tone(grey).mean(axis=(0, 1)) for light in LIGHTS[2:0:-1]
    )
    assert night.mean() < 0.4 * 150
    assert night[2] > night[0]
    assert dusk[0] > dusk[2]
    assert night.mean() < dusk.mean() < 150


def test_fog_hides_what_is_far_and_not_what_is_near() -> None:
    black = np.zeros((96, 160, 3), np.uint8)
    foggy = Falling("fog", 1, STREET).in_front_of(black, 0.0).mean(axis=(1, 2))
    assert foggy[42:46].mean() > 2.5 * foggy[-6:].mean() > 0


def test_the_sensor_has_the_noise_asked_for_and_other_noise_in_each_picture() -> None:
    grey = np.full((96, 160, 3), 120, np.uint8)
    sensor = Sensor(1, SIZE, 4.0)
    one, two = sensor.expose(grey, 0, 15.0), sensor.expose(grey, 1, 15.0)
    assert (one != two).mean() > 0.5
    assert 3.0 < one.std() < 5.0
    np.testing.assert_array_equal(Sensor(1, SIZE, 4.0).expose(grey, 1, 15.0), two)
