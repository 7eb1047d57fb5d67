"""`report.html`: a dataset on one page that a person reads before training."""

from segrecord.reporting.report.page import REPORT, make, write

__all__ = ["REPORT", "make", "write"]
