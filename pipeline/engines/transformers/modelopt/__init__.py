"""Checkpoints that NVIDIA ModelOpt quantised: computed with through the library."""
