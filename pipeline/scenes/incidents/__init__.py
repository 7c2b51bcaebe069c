"""Incidents put into pictures, with exact truth about the pixels, and their harmless twins."""
