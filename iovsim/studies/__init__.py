"""Study files become plans, plans become runs on one machine or many, and folders of runs become their state."""
