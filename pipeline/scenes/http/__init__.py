"""Scenes from an image server, over HTTP."""
