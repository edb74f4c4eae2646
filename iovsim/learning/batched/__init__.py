"""Many vehicles' adapters over one frozen model, trained together: the same updates as one by one, sooner."""
