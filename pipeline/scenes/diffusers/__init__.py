"""Flux and SDXL by the library diffusers, from a local folder, nothing from the network."""
