"""Stage 3: meaning to the local graph."""
