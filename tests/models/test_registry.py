"""Weights by name and by digest, and required keys of model cards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.registry import CARD_KEYS, ModelUnavailable, available, by_digest, digest, resolve

MODEL = b"not read by the registry"
SHA256 = hashlib.sha256(MODEL).hexdigest()


def write_weights(folder: Path, name: str, sha256: str = SHA256, leave_out: str = "") -> None:
    lines = [f'{key} = "{sha256 if key == "sha256" else key}"\n' for key in sorted(CARD_KEYS - {leave_out})]
    (folder / f"{name}.onnx").write_bytes(MODEL)
    (folder / f"{name}.md").write_text("+++\n" + "".join(lines) + "+++\n# A model\n", "utf-8")


def test_weights_are_found_by_name_and_by_digest(tmp_path: Path) -> None:
    write_weights(tmp_path, "router")
    weights = resolve("router", tmp_path)
    assert (weights.name, weights.sha256, weights.card["seed"]) == ("router", SHA256, "seed")
    assert by_digest(SHA256, tmp_path) == weights
    assert available(tmp_path) == ["router"]


def test_missing_weights_raise_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model 'router' .*there: none.*reinstall"):
        resolve("router", tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no weights in .* have sha256 0000"):
        by_digest("0" * 64, tmp_path)


def test_weights_without_their_own_card_raise(tmp_path: Path) -> None:
    write_weights(tmp_path, "changed", sha256="0" * 64)
    with pytest.raises(ModelUnavailable, match="its card says 0000"):
        resolve("changed", tmp_path)
    write_weights(tmp_path, "silent", leave_out="licence")
    with pytest.raises(ModelUnavailable, match="does not state licence"):
        resolve("silent", tmp_path)
    for front_matter in ("# No front matter\n", "+++\nnever closed\n", "+++\nnot toml\n+++\n"):
        (tmp_path / "silent.md").write_text(front_matter, "utf-8")
        with pytest.raises(ModelUnavailable):
            resolve("silent", tmp_path)


def test_the_digest_of_a_document_is_that_of_its_canonical_json() -> None:
    document = {"name": "Färbung", "parameters": {"b": 2, "a": [1, 0.5, None, True]}}
    same = {"parameters": {"a": [1, 0.5, None, True], "b": 2}, "name": "Färbung"}
    assert digest(document) == digest(same) != digest({**document, "name": "stain"})
    canonical = '{"name":"Färbung","parameters":{"a":[1,0.5,null,true],"b":2}}'
    assert digest(document) == hashlib.sha256(canonical.encode()).hexdigest()
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"threshold": float("nan")})


@pytest.mark.parametrize("name", available())
def test_every_shipped_model_has_its_card(name: str) -> None:
    assert by_digest(resolve(name).sha256).name == name
