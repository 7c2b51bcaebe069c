"""The subcommands of `edgewatch scenes`, one a module, each with `main(argv) -> int`."""
