"""What a secret looks like, in one place: the client takes secrets out by it, the server refuses them by it.

`table` lists the shapes, names and programs; `text` applies them to any text, `words` to the words of a command.
native/secrets.h, which the tracer uses, is written from the same table by tools/write_secrets.py.
"""
