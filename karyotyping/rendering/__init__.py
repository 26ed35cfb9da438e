"""Pictures of a cell: outline overlays and karyograms."""
