"""The pages: everything the API answers, for people."""
