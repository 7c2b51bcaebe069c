"""Tests of the engine that draws."""
