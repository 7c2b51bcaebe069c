"""What the built-in engine can learn from drawn incidents: docs/training.md."""
