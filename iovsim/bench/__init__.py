"""Parts of the program become timed rows: ours, what it is held against, and their ratio, all from one run."""
