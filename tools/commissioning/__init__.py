"""Commissioning: what would be seen on one camera and what not, found without labels."""
