"""Transformers: watch which of two images a pair of vision transformers listens to while a Trainer trains it.

    pip install transformers accelerate
    python examples/transformers_monitor.py

The model is tiny and random, nothing is downloaded. The class is the brightness of the left image; the right one says
it too, but half as loud. Sources that depend on each other, as these do, are reported in a warning.
"""

from __future__ import annotations

import tempfile

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments, ViTConfig, ViTModel

from chiasm.adapters.transformers import SourceMonitor


class TwoImages(nn.Module):
    """Two vision transformers, joined by a hidden layer."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.left, self.right = ViTModel(config), ViTModel(config)
        self.fusion = nn.Sequential(nn.Linear(2 * config.hidden_size, 32), nn.ReLU())
        self.head = nn.Linear(32, 2)

    def forward(self, left: Tensor, right: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Map two times (samples, 3, 8, 8) to logits (samples, 2), and labels to their loss."""
        towers = (self.left(left), self.right(right))
        logits = self.head(self.fusion(torch.cat([tower.pooler_output for tower in towers], dim=1)))
        return (
            {"logits": logits}
            if labels is None
            else {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
        )


def draw(samples: int, brightness: float) -> Tensor:
    """Draw images of two classes, (samples, 3, 8, 8)."""
    return torch.randn(samples, 3, 8, 8) + brightness * (torch.arange(samples) % 2).reshape(-1, 1, 1, 1)


if __name__ == "__main__":
    torch.manual_seed(0)
    left, right = draw(512, 0.5), draw(512, 0.25)
    model = TwoImages(
        ViTConfig(
            image_size=8, patch_size=4, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                num_train_epochs=6,
                per_device_train_batch_size=32,
                learning_rate=2e-3,
                logging_strategy="epoch",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=[{"left": left[i], "right": right[i], "labels": i % 2} for i in range(384)],
        )
        held_out = {"left": left[384:], "right": right[384:]}
        # A part of a layer's output is named after a colon: what the model returns, its "logits".
        monitor = SourceMonitor(held_out, layers=["fusion", ":logits"], every=2).attach(trainer)
        trainer.train()
    print("The monitor's report: RSV +1 means left only, -1 right only.")
    print(monitor.frame().pivot("quantity", index=["epoch", "layer"], values="value"))
