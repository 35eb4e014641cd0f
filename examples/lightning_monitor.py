"""Lightning: watch which source the units of a network listen to while it trains.

    pip install pytorch-lightning
    python examples/lightning_monitor.py

The data are made up: image and sound carry the class, the image more clearly. Sources that depend on each other, as
these do, are reported in a warning.
"""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from chiasm.adapters.lightning import SourceMonitor


class ImageAndSound(pl.LightningModule):
    """Two pathways that meet in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.sound = nn.Linear(20, 32), nn.Linear(20, 32)
        self.fusion = nn.ReLU()
        self.head = nn.Linear(32, 4)

    def forward(self, image: Tensor, sound: Tensor) -> Tensor:
        """Map two times (samples, 20) to (samples, 4)."""
        logits: Tensor = self.head(self.fusion(self.image(image) + self.sound(sound)))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        image, sound, label = batch
        return nn.functional.cross_entropy(self(image, sound), label)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def draw(samples: int, noise: float, seed: int) -> Tensor:
    """Draw a source of 4 classes, (samples, 20)."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randn(4, 20, generator=generator)
    x = classes[torch.arange(samples) % 4] + noise * torch.randn(samples, 20, generator=generator)
    return x / x.std()


if __name__ == "__main__":
    pl.seed_everything(0)
    image, sound, label = draw(1200, 1.0, 1), draw(1200, 4.0, 2), torch.arange(1200) % 4
    held_out = {"image": image[800:], "sound": sound[800:]}
    monitor = SourceMonitor(held_out, layers=["fusion", "head"], every=2)
    trainer = pl.Trainer(max_epochs=6, callbacks=[monitor], accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(ImageAndSound(), DataLoader(TensorDataset(image[:800], sound[:800], label[:800]), 32, shuffle=True))
    print("The monitor's report: RSV +1 means image only, -1 sound only.")
    print(monitor.frame().pivot("quantity", index=["epoch", "layer"], values="value"))
