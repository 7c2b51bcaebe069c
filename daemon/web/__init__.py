"""The page: what is watched and what happened, for people, scripts and monitoring."""
