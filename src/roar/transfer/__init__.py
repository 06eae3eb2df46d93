"""Stage 7: move artifacts in and out of object storage."""
