"""The science of karyotyping on NumPy arrays. Knows no database, queue or network; reaches models through ``models``."""
