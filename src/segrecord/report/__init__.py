"""`report.html`: a dataset on one page that a person reads before training."""
