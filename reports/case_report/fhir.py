"""The case report as a bundle of FHIR R4B resources, a first proposal.

The bundle is a collection: a DiagnosticReport, its Observations, and the Device that made them. Codes are LOINC where
it has one: 51969-4 for a genetic analysis report, 62386-6 for a karyotype in ISCN. Other observations have a text.
The resources are those that R4 (4.0.1) and R4B (4.3.0) share. There is no Patient: karyoflow knows accession numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from reports.case_report.document import CaseReport, Clone
from reports.errors import MissingExtra

_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_ISCN = "https://iscn.karger.com"
_REPORT_CODE = {
    "coding": [{"system": _LOINC, "code": "51969-4", "display": "Genetic analysis report"}],
    "text": "Chromosome analysis",
}
_KARYOTYPE_CODE = {
    "coding": [{"system": _LOINC, "code": "62386-6", "display": "Chromosome analysis result in ISCN expression"}],
    "text": "Karyotype",
}
_CATEGORY_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
_CATEGORY = [{"coding": [{"system": _CATEGORY_SYSTEM, "code": "laboratory"}]}]
_GENETICS = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "GE"}]}]
_Resource = dict[str, Any]


def to_fhir(report: CaseReport) -> str:
    """Return the report as the JSON of a FHIR bundle, validated against the resources of R4B.

    Raises:
        MissingExtra: fhir.resources is not installed.
    """
    check_fhir()
    from fhir.resources.R4B.bundle import Bundle  # noqa: PLC0415 - an extra

    device = _device(report)
    observations = list(_observations(report, _reference(device)))
    resources = [_diagnostic_report(report, observations), *observations, device]
    bundle = Bundle.model_validate(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "timestamp": report.provenance.written_at.isoformat(),
            "entry": [{"fullUrl": _url(one), "resource": one} for one in resources],
        }
    )
    return str(bundle.model_dump_json(indent=2))


def check_fhir() -> None:
    """Return if reports can be written as FHIR.

    Raises:
        MissingExtra: they cannot.
    """
    try:
        import fhir.resources  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("FHIR needs fhir.resources: pip install 'karyoflow[fhir]'") from error


def _diagnostic_report(report: CaseReport, observations: list[_Resource]) -> _Resource:
    return {
        "resourceType": "DiagnosticReport",
        "id": _id(report, "report"),
        "identifier": [{"value": report.labels.accession}],
        "status": "final" if report.is_signed else "preliminary",
        "category": _GENETICS,
        "code": _REPORT_CODE,
        "effectiveDateTime": report.provenance.result_at.isoformat(),
        "issued": report.provenance.written_at.isoformat(),
        "resultsInterpreter": [{"display": name} for name in (report.sign_off.readers if report.sign_off else [])],
        "result": [_reference(one) for one in observations],
        "conclusion": " ".join([f"{report.outcome.capitalize()}.", report.why, *report.to_check]),
    }


def _observations(report: CaseReport, device: _Resource) -> Iterator[_Resource]:
    """Yield karyotype, outcome, clones, numbers of cells and the mosaicism that they exclude."""

    def observation(name: str, code: _Resource, **values: Any) -> _Resource:
        return {
            "resourceType": "Observation",
            "id": _id(report, name),
            "status": "final" if report.is_signed else "preliminary",
            "category": _CATEGORY,
            "code": code,
            "effectiveDateTime": report.provenance.result_at.isoformat(),
            "device": device,
            **values,
        }

    if report.karyotype:
        karyotype: _Resource = {"valueCodeableConcept": {"coding": [{"system": _ISCN, "code": report.karyotype}]}}
    else:
        karyotype = {"dataAbsentReason": {"text": f"{report.outcome}: {report.why}"}}
    yield observation("karyotype", _KARYOTYPE_CODE, **karyotype)
    yield observation("outcome", {"text": "Outcome"}, valueCodeableConcept={"text": report.outcome})
    for number, clone in enumerate(report.clones, start=1):
        yield observation(f"clone-{number}", {"text": f"Clone {number}"}, **_clone(clone))
    for one in report.sufficiency.requirements:
        known = one.found is not None
        found: _Resource = {"valueInteger": one.found} if known else {"dataAbsentReason": {"text": "not recorded"}}
        policy = {"low": {"value": one.needed}, "text": f"policy {report.sufficiency.policy}"}
        yield observation(one.name, {"text": f"Cells: {one.name}"}, referenceRange=[policy], **found)
    if (excluded := report.sufficiency.excluded_mosaicism) is not None:
        share = {"value": round(100 * excluded, 1), "unit": "%", "system": _UCUM, "code": "%"}
        yield observation("mosaicism", {"text": "Smallest share of abnormal cells excluded"}, valueQuantity=share)


def _clone(clone: Clone) -> _Resource:
    return {
        "valueString": clone.iscn,
        "component": [
            {"code": {"text": "Cells"}, "valueInteger": len(clone.cells)},
            {"code": {"text": "Cells with exactly these chromosomes"}, "valueInteger": len(clone.exact)},
            {"code": {"text": "Probability of an artefact"}, "valueQuantity": {"value": clone.artefact}},
            {"code": {"text": "Part of the karyotype"}, "valueBoolean": clone.established},
        ],
    }


def _device(report: CaseReport) -> _Resource:
    made = report.provenance
    return {
        "resourceType": "Device",
        "id": _id(report, "device"),
        "deviceName": [{"name": made.software, "type": "model-name"}],
        "version": [{"type": {"text": f"pipeline {made.pipeline}"}, "value": made.pipeline_digest}],
        "note": [{"text": "For research. Every call is a proposal for a cytogeneticist to check."}],
    }


def _id(report: CaseReport, name: str) -> str:
    """Return the same id for the same part of the same result."""
    made = report.provenance
    return str(
        uuid5(NAMESPACE_URL, f"{made.pipeline_digest}/{made.result_at.isoformat()}/{report.labels.accession}/{name}")
    )


def _url(resource: _Resource) -> str:
    return f"urn:uuid:{resource['id']}"


def _reference(resource: _Resource) -> _Resource:
    return {"reference": _url(resource)}
