"""Flux and SDXL as arithmetic on NumPy arrays: what happens around and between the networks."""
