"""The science of karyotyping on NumPy arrays. No database, queue or network; reaches networks through ``models``."""
