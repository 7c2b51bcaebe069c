"""The commands beside `edgewatch run`; each file is one command."""
