"""Checkpoints that NVIDIA ModelOpt quantised: their format, layers and numbers."""
