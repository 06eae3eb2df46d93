"""Stage 4: questions to the graph."""
