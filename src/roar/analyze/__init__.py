"""Stage 2: facts to meaning."""
