"""roar records what a command really read and wrote, as a lineage graph."""

__version__ = "0.1.0"
