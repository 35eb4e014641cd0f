"""A measurement as a file: arrays and a little JSON, without pickles."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.measuring.plan import design
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.sampling.dependence import Dependence
from chiasm.measuring.variance.components import Components

FORMAT = 1


def save(
    path: Path,
    layers: Mapping[str, LayerMeasurement],
    sources: tuple[str, ...],
    levels: int,
    dependence: Sequence[Dependence],
    plain: Mapping[str, Any],
) -> Path:
    """Write a measurement; a file of that name is replaced completely or not at all.

    Args:
        path: of the file; its ending is ".npz", put there if it is missing.
        layers: by name.
        sources: their names.
        levels: anchors of each source in a block.
        dependence: of the sources.
        plain: numbers and strings by name.
    """
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    arrays: dict[str, Any] = {}
    described = []
    for n, layer in enumerate(layers.values()):
        described.append({"name": layer.name, "shape": layer.shape, "levels": levels})
        arrays |= {f"{n}.{key}": x for key, x in layer.components.arrays().items()}
        if layer.ratios is not None:
            arrays[f"{n}.ratios"] = layer.ratios
        if layer.size is not None:
            arrays[f"{n}.size"] = layer.size
    about = {
        "chiasm measurement": FORMAT,
        "sources": sources,
        "layers": described,
        "dependence": [asdict(d) for d in dependence],
        "plain": dict(plain),
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


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote: layers, sources, dependence, and the plain values by name."""
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            arrays = {key: archive[key] for key in archive.files}
        return _fields(path, about, arrays)
    except ChiasmError:
        raise
    except FileNotFoundError as error:
        raise ChiasmError(f"no measurement at '{path}'; Measurement.save(path) writes one") from error
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise ChiasmError(f"'{path}' is not a measurement, or damaged; Measurement.save(path) writes one") from error


def _fields(path: Path, about: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(about, dict) or about.get("chiasm measurement") != FORMAT:
        raise ChiasmError(f"'{path}' is not a measurement that this version of chiasm reads (format {FORMAT})")
    sources = tuple(about["sources"])
    layers = {}
    for n, layer in enumerate(about["layers"]):
        contrasts = design(len(sources), layer["levels"]).contrasts
        components = Components(contrasts, arrays[f"{n}.sums"], arrays[f"{n}.counts"])
        layers[layer["name"]] = LayerMeasurement(
            layer["name"],
            sources,
            components,
            tuple(layer["shape"]),
            arrays.get(f"{n}.ratios"),
            arrays.get(f"{n}.size"),
        )
    dependence = tuple(Dependence(**d) for d in about["dependence"])
    return {"layers": layers, "sources": sources, "dependence": dependence, **about["plain"]}
