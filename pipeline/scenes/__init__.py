"""Scenes drawn for tests: footage whose truth is known."""
