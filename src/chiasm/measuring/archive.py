"""A measurement as a file: arrays and a little JSON, without pickles."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.measuring.dependence import Dependence
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.plan import design
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.components import Components

FORMAT = 1
# What of a measurement is neither its layers nor made of other objects.
PLAIN = ("anchors", "wanted", "samples", "blocks", "estimator", "evaluations", "pairing", "pooling", "per", "seed",
         "precision", "note")  # fmt: skip


def save(measurement: Measurement, path: Path) -> Path:
    """Write a measurement; a file of that name is replaced whole or stays as it was."""
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    arrays: dict[str, Any] = {}
    layers = []
    for n, layer in enumerate(measurement.values()):
        levels = measurement.anchors // measurement.blocks
        layers.append({"name": layer.name, "shape": layer.shape, "levels": levels})
        arrays |= {f"{n}.{key}": x for key, x in layer.components.arrays().items()}
        if layer.ratios is not None:
            arrays[f"{n}.ratios"] = layer.ratios
    about = {
        "chiasm measurement": FORMAT,
        "sources": measurement.sources,
        "layers": layers,
        "dependence": [asdict(d) for d in measurement.dependence],
        **{key: getattr(measurement, key) for key in PLAIN},
    }
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:
            np.savez_compressed(aside, about=np.array(json.dumps(about)), **arrays)
            aside.flush()
            os.fsync(aside.fileno())
        os.chmod(aside.name, 0o644)
        os.replace(aside.name, path)
    except OSError as error:
        raise ChiasmError(f"'{path}' cannot be written ({error.strerror}); name a file in a folder that can") from error
    return path


def load(path: Path) -> Measurement:
    """Read a measurement that `save` wrote."""
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            arrays = {key: held[key] for key in held.files}
    except FileNotFoundError as error:
        raise ChiasmError(f"no measurement at '{path}'; Measurement.save(path) writes one") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ChiasmError(f"'{path}' is not a measurement, or damaged; Measurement.save(path) writes one") from error
    if not isinstance(about, dict) or about.get("chiasm measurement") != FORMAT:
        raise ChiasmError(f"'{path}' is not a measurement that this version of chiasm reads (format {FORMAT})")
    sources = tuple(about["sources"])
    layers = {}
    for n, layer in enumerate(about["layers"]):
        forms = design(len(sources), layer["levels"]).forms
        components = Components(forms, arrays[f"{n}.sums"], arrays[f"{n}.counts"])
        layers[layer["name"]] = LayerMeasurement(
            layer["name"], sources, components, tuple(layer["shape"]), arrays.get(f"{n}.ratios")
        )
    dependence = tuple(Dependence(**d) for d in about["dependence"])
    plain = {key: about[key] for key in PLAIN}
    return Measurement(layers=layers, sources=sources, dependence=dependence, **plain)
