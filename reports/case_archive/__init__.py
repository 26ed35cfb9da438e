"""The archive of a case: one file that another installation takes in."""
