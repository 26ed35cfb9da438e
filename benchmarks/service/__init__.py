"""Benchmarks of the whole service: throughput, latency, memory and failures."""
