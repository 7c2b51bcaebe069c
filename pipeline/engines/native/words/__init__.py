"""A clip in words: the loop behind the prefill, what it goes on from, and its pauses."""
