"""Checkpoints that NVIDIA ModelOpt quantised: read, unpacked, packed, and computed with."""
