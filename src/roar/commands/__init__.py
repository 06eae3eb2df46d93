"""One thin module per verb: parse, call, show."""
