"""Stage 6: share part of the graph with a glaas server."""
