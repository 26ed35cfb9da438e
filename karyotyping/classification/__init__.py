"""Classification of chromosomes: embedding network, band matching, assignment over the cell."""
