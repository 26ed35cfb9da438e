"""Throughput, latency and failures of the whole service."""
