"""Logs, metrics, traces and health probes of a process."""
