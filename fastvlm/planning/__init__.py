"""Before the hours: what an experiment downloads, how much memory it needs, how many jobs it is and for how long it computes."""
