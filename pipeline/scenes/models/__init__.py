"""Models that paint scenes: which there are, their licences, and where their files lie."""
