"""The life around a flow: command line, signals, logs, systemd."""
