"""Damaged recordings through the camera: never a crash, a hang or a leak."""
