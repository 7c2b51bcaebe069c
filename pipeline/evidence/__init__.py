"""Evidence: what is kept of an event on disk, so that it can be seen and judged again."""
