"""Everything that makes or judges what the models know: simulation, data sets, training loops, evaluation."""
