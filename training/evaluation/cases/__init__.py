"""Judged cases compared with what a laboratory signed."""
