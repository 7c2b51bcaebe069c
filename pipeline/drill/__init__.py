"""The fire drill: an incident put into copies of a live camera's clips, through the whole chain."""
