"""A measurement as a file: arrays and a little JSON, without pickles."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.plan import design
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.shown.dependence import Dependence
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
        if layer.size is not None:
            arrays[f"{n}.size"] = layer.size
    about = {
        "chiasm measurement": FORMAT,
        "sources": measurement.sources,
        "layers": layers,
        "dependence": [asdict(d) for d in measurement.dependence],
        **{key: getattr(measurement, key) for key in PLAIN},
    }
    text = json.dumps(about, default=float)  # before anything is written
    aside_name: str | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:
            aside_name = aside.name
            np.savez_compressed(aside, about=np.array(text), **arrays)
            aside.flush()
            os.fsync(aside.fileno())
        os.chmod(aside.name, 0o644)
        os.replace(aside.name, path)
    except OSError as error:
        raise ChiasmError(f"'{path}' cannot be written ({error.strerror}); name a file in a folder that can") from error
    finally:
        if aside_name is not None:
            Path(aside_name).unlink(missing_ok=True)  # renamed by now, if all went well
    return path


def load(path: Path) -> Measurement:
    """Read a measurement that `save` wrote."""
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            arrays = {key: held[key] for key in held.files}
        return _made(path, about, arrays)
    except ChiasmError:
        raise
    except FileNotFoundError as error:
        raise ChiasmError(f"no measurement at '{path}'; Measurement.save(path) writes one") from error
    except Exception as error:  # whatever a damaged file makes its reader say
        raise ChiasmError(f"'{path}' is not a measurement, or damaged; Measurement.save(path) writes one") from error


def _made(path: Path, about: Any, arrays: Mapping[str, Any]) -> Measurement:
    if not isinstance(about, dict) or about.get("chiasm measurement") != FORMAT:
        raise ChiasmError(f"'{path}' is not a measurement that this version of chiasm reads (format {FORMAT})")
    sources = tuple(about["sources"])
    layers = {}
    for n, layer in enumerate(about["layers"]):
        forms = design(len(sources), layer["levels"]).forms
        components = Components(forms, arrays[f"{n}.sums"], arrays[f"{n}.counts"])
        layers[layer["name"]] = LayerMeasurement(
            layer["name"],
            sources,
            components,
            tuple(layer["shape"]),
            arrays.get(f"{n}.ratios"),
            arrays.get(f"{n}.size"),
        )
    dependence = tuple(Dependence(**d) for d in about["dependence"])
    plain = {key: about[key] for key in PLAIN}
    return Measurement(layers=layers, sources=sources, dependence=dependence, **plain)
