"""Smaller checkpoints: made with ModelOpt, then verified."""
