"""The report of one case that a laboratory hands on: HTML, PDF, JSON and FHIR."""
