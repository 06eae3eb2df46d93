"""A registry of the size that one wants to measure: a made-up world, a way to load it in bulk, and load upon it."""
