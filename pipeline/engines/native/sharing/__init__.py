"""One model in several processes: a GPU each, in lockstep."""
