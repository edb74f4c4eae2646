"""Seeds become pictures and messages: the built-in tasks, drawn and written by rules of our own."""
