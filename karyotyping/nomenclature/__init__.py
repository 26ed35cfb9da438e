"""ISCN names: chromosome classes, karyotype strings, ideogram bands."""
