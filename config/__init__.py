"""Settings: the tree, its sources and their order."""
