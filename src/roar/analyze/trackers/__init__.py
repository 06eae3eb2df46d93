"""Experiment trackers: recognise, filter, reference."""
