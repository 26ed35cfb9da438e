"""ISCN nomenclature: chromosome classes, karyotype strings, ideogram bands."""
