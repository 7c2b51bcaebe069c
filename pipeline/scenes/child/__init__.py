"""A scene engine in a process of its own: its end is the sure way to have all memory back."""
