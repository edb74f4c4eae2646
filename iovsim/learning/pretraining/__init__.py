"""Generated exercises become the weights of the built-in backbone; nothing here is imported by a run."""
