"""Scenes drawn from a seed: their camera, their ground, what stands and moves in them."""
