"""The roles of a file use, as `file_use.role` holds them."""

INPUT = 1
OUTPUT = 2
PAYLOAD = 3
"""Written only inside a tracker's store: no output, but whoever reads that content later depends on the job."""
