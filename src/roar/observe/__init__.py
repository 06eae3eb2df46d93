"""Stage 1: run the command and collect facts."""
