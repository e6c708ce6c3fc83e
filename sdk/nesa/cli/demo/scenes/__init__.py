"""One module a scene; each has TITLE, WORDS and `tell`."""
