"""Moving: what makes footage of a still picture: a camera that moves, light, weather, a sensor."""
