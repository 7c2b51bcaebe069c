"""What is installed here, and what does not go together."""
