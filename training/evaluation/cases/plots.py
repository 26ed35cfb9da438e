"""Figure of judged cases."""

from __future__ import annotations

from io import BytesIO

from training.evaluation.classification.calibration import RiskCoverage
from training.evaluation.classification.plots import risk_coverage


def risk_png(curve: RiskCoverage) -> bytes:
    """Return the risk-coverage curve of cases as PNG."""
    name = f"{curve.total} cases"
    figure = risk_coverage({name: curve}, units="cases", score="posterior", to_end=False)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
