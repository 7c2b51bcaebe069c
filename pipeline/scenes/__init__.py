"""Synthetic scenes: stills and clips made here, and so with known truth."""
