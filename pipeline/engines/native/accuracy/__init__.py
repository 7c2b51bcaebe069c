"""What must hold before anything is judged: the self-test, the comparison, the drift."""
