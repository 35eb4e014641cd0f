"""A study of your own data with your own network: image and sound of one event, the sound silent for a while.

    python examples/own_data_and_network.py

Everything goes through the public face of chiasm. The data are made up here: both sources carry the class, the image
more clearly than the sound.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

import chiasm

FOLDER = Path("runs/own")


class ImageAndSound(nn.Module):
    """Any module will do that takes the sources by name in one mapping and returns logits."""

    def __init__(self, sources: tuple[chiasm.Source, ...], classes: int, width: int) -> None:
        super().__init__()
        self.pathways = nn.ModuleDict({s.name: nn.LazyLinear(width) for s in sources})
        self.fusion = nn.ReLU()
        self.read = nn.Linear(width, classes)
        self.forward({s.name: torch.zeros(1, *s.shape) for s in sources})  # lets the lazy layers take their shapes

    def forward(self, sources: dict[str, torch.Tensor]) -> torch.Tensor:
        """Map (samples, *shape) a source to (samples, classes)."""
        z = torch.stack([self.pathways[name](x.flatten(1)) for name, x in sources.items()]).sum(0)
        logits: torch.Tensor = self.read(self.fusion(z))
        return logits


def factory(sources: tuple[chiasm.Source, ...], classes: int, width: int = 16) -> nn.Module:
    """Make the network; a study file would name it as `kind = "own_data_and_network:factory"`."""
    return ImageAndSound(sources, classes, width)


def make_data(path: Path) -> None:
    """Write 600 samples of 4 classes: an 8 x 8 image and 20 samples of sound each."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 600)
    image = rng.normal(size=(4, 8, 8))[label] + rng.normal(size=(600, 8, 8)) * 2
    sound = rng.normal(size=(4, 20))[label] + rng.normal(size=(600, 20)) * 3
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, image=image, sound=sound, label=label)


STUDY = {
    "name": "image-and-sound",
    "question": "If the sound is silent early on, does the network still learn to use it?",
    "seeds": 3,
    "task": {"kind": "arrays", "path": str(FOLDER / "data.npz"), "sources": ["image", "sound"]},
    "network": {"kind": f"{Path(__file__).stem}:factory", "width": 16},
    "training": {"lr": 0.02, "batch": 32, "weight_decay": 0.0005},
    "probe": {"layers": ["fusion"], "every": 5, "anchors": 64},
    "arm": [
        {
            "name": "duration",
            "role": "duration",
            "timeline": "silence(sound) {d} | clean 10",
            "d": [0, 10],
            "training": {"clock": ["absolute", "since_release"]},
        },
        {
            "name": "onset",
            "role": "onset",
            "timeline": "clean {t} | silence(sound) 10 | clean 10",
            "t": [0, 10],
        },
    ],
}

if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parent))
    make_data(FOLDER / "data.npz")
    results = chiasm.run(chiasm.Study.from_dict(STUDY), FOLDER / "study")
    shift = results.frame().filter(final=True, layer="fusion", quantity="rsv_mean")
    print(shift.select("cell", "seed", "value"))
    print(f"RSV +1 means image only; report: {FOLDER / 'study' / 'report.html'}")
