"""Files, folders and names of generated tasks become labelled samples, and samples the shards of vehicles."""
