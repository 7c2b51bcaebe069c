"""The families of models that see: what edgewatch knows of each."""
