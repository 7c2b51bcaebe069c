"""Scores made probabilities: fitted, cross-validated, written, shown."""
