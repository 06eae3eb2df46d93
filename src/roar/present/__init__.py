"""Stage 5: objects to text or JSON. Never opens the database."""
