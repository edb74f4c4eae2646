"""Files become worlds, methods and finished runs: the only place that knows all parts and puts them together."""
