"""Clips: recipes of footage, the footage itself, its files, and whether those tell the truth."""
