"""The engine that draws: scenes of prompt words, without a model."""
