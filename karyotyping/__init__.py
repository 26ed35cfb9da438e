"""Karyotyping on NumPy arrays; no database, queue or network service."""
