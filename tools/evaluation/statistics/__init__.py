"""How good answers are: figures with intervals, controls, comparisons of two engines. Pure."""
