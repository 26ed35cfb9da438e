"""Cases: clones that explain the cells, how certain they are, and which cells are missing.

The room is pure: cells in, evidence out. :func:`karyotyping.case.decision.judge` is the way in.
"""
