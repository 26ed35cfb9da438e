"""Cases: clones that explain the cells of a case, what is certain of them, and whether the cells are enough.

The room is pure: cells in, evidence out. :func:`karyotyping.case.decision.judge` is the way in.
"""
