"""Measurements: each program prints a table of figures, or with --json one flat object."""
