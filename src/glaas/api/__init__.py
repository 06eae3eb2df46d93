"""The API: everything the pages show, as JSON."""
