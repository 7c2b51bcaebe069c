"""How good engines are on labelled recordings: read, judged, measured, reported."""
