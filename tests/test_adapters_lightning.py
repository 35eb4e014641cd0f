"""The monitor in Lightning's Trainer: what it logs and where, and that the training never notices."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import chiasm

pytest.importorskip("pytorch_lightning")

import pytorch_lightning as pl

from chiasm.adapters.lightning import SourceMonitor
from chiasm.measuring.measurement import DependentSources

# Lightning's advice on workers, and what it says of its own use of torch.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:pytorch_lightning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def samples(n: int, names: str = "ab") -> dict[str, Tensor]:
    return {x: torch.randn(n, 4, generator=torch.Generator().manual_seed(ord(x))) for x in names}


class Two(pl.LightningModule):
    """Drops out and normalises, so that whoever draws or looks on in training mode is found out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(4, 8)
        self.fusion = nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        out: Tensor = self.head(self.fusion(self.a(a) + 0.5 * self.b(b)))
        return out

    def training_step(self, batch: Any, _: int) -> Tensor:
        a, b, label = batch
        loss = nn.functional.cross_entropy(self(a, b), label)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("right", (self(batch[0], batch[1]).argmax(1) == batch[2]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


class Logger(pl.loggers.logger.DummyLogger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.got.append((step, dict(metrics)))


def fit(*callbacks: Any, epochs: int = 4, model: Any = None, **options: Any) -> Any:
    pl.seed_everything(1, verbose=False)
    model = model or Two()
    data = torch.utils.data.TensorDataset(*samples(48).values(), torch.arange(48) % 3)
    train = torch.utils.data.DataLoader(data, 16, shuffle=True)
    resume = options.pop("ckpt_path", None)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1, "logger": False}
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        **{"enable_checkpointing": False, **quiet, **options},
    )
    trainer.fit(model, train, torch.utils.data.DataLoader(data, 48), ckpt_path=resume, weights_only=True)
    return trainer


def monitor(**options: Any) -> SourceMonitor:
    return SourceMonitor(options.pop("sources", samples(64)), ["fusion.1", ""], **{"anchors": 32, **options})


def test_a_monitored_run_ends_with_the_bits_of_one_without() -> None:
    def drawing() -> dict[str, Tensor]:
        torch.rand(5), np.random.rand(5)  # as the order of a data loader does
        return samples(64)

    alone = fit().model
    for sources in (samples(64), drawing):
        watched = fit(monitor(sources=sources)).model
        assert all(torch.equal(x, watched.state_dict()[name]) for name, x in alone.state_dict().items())
        assert watched.training == alone.training


def test_the_numbers_are_those_of_measure() -> None:
    seen = monitor(every=2, seed=3)
    model = fit(seen).model
    told = chiasm.measure(model, samples(64), ["fusion.1", ""], anchors=32, seed=3)
    last = seen.frame().filter(epoch=4)
    assert seen.last is not None
    assert seen.frame()["epoch"].unique().to_list() == [2, 4]
    assert seen.frame()["step"].unique().to_list() == [6, 12]
    for layer in ("fusion.1", ""):
        values = {row["quantity"]: row["value"] for row in last.filter(layer=layer).to_dicts()}
        rsv = told[layer].rsv()[~told[layer].dead]
        assert values == {
            "rsv_mean": told[layer].mean_rsv("a", "b"),
            "synergy_mean": told[layer].mean_synergy(),
            "polarised": (abs(rsv) > 0.5).mean(),
            "dead": told[layer].dead.sum(),
        }


def test_every_logger_gets_them_and_callbacks_may_monitor_them(tmp_path: Path) -> None:
    one, csv = Logger(), pl.loggers.CSVLogger(tmp_path)
    best = pl.callbacks.ModelCheckpoint(tmp_path, monitor="chiasm/output/rsv_mean", mode="max", save_top_k=1)
    seen = monitor()
    fit(seen, best, epochs=3, logger=[one, csv], enable_checkpointing=True)
    wanted = seen.frame().filter(layer="", quantity="rsv_mean")["value"]
    got = [metrics["chiasm/output/rsv_mean"] for _, metrics in one.got if "chiasm/output/rsv_mean" in metrics]
    # Lightning keeps what is logged in float32.
    assert got == pytest.approx(wanted.to_list(), abs=1e-6)
    assert float(best.best_model_score) == pytest.approx(wanted.max(), abs=1e-6)
    assert "chiasm/fusion.1/dead" in Path(csv.log_dir, "metrics.csv").read_text().splitlines()[0]
    steps = [step for step, metrics in one.got if "chiasm/output/dead" in metrics]
    assert steps == [step for step, metrics in one.got if "right" in metrics]  # beside the other numbers of the epoch


def test_a_resumed_run_has_the_whole_history(tmp_path: Path) -> None:
    whole, first, second = monitor(), monitor(), monitor()
    fit(whole, epochs=3)
    fit(first, epochs=2).save_checkpoint(tmp_path / "cut.ckpt")
    fit(second, epochs=3, ckpt_path=tmp_path / "cut.ckpt")
    assert second.frame().filter(epoch=2).equals(whole.frame().filter(epoch=2))
    assert second.frame()["epoch"].unique().to_list() == [1, 2, 3]


def test_a_submodule_can_be_measured_and_three_sources_give_shares() -> None:
    class Three(nn.Module):
        def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
            return torch.stack([a.sum(1), b.sum(1), a.sum(1) + 0.1 * c.sum(1)], 1)

    model = Two()
    model.net = Three()
    seen = SourceMonitor(samples(64, "abc"), [""], model="net", prefix="rsv", anchors=64)
    logger = Logger()
    fit(seen, model=model, epochs=1, logger=logger)
    logged = next(metrics for _, metrics in logger.got if "rsv/output/dead" in metrics)
    shares = [logged[f"rsv/output/share_mean/{x}"] for x in "abc"]
    assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert shares[0] > shares[1] > shares[2]
    assert logged["rsv/output/polarised"] == 1  # each unit listens to one source
    assert "rsv/output/rsv_mean" not in logged
    assert set(seen.frame().filter(quantity="share_mean")["source"]) == {"a", "b", "c"}


def test_that_sources_depend_on_each_other_is_told_once_and_another_pairing_helps() -> None:
    label = torch.arange(64) % 3
    alike = {name: x + 3 * label[:, None] for name, x in samples(64).items()}
    with pytest.warns(DependentSources) as told:
        fit(monitor(sources=alike), epochs=3)
    assert len([one for one in told if one.category is DependentSources]) == 1
    seen = monitor(sources=alike, pairing="within_class", target=label)
    model = fit(seen, epochs=1).model
    inside = chiasm.measure(model, alike, ["fusion.1"], anchors=32, pairing="within_class", target=label)["fusion.1"]
    assert seen.frame().filter(layer="fusion.1", quantity="rsv_mean")["value"].item() == inside.mean_rsv()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sources": [1]}, "sources is a list; expected a mapping from names to held-out samples, or a function"),
        ({"layers": "fusion"}, "layers = 'fusion'; expected a list of one or more names"),
        ({"every": 0}, "every = 0; expected a whole number, 1 or more"),
    ],
)
def test_mistakes_are_told_when_it_is_made(options: Any, sentence: str) -> None:
    with pytest.raises(chiasm.ChiasmError, match=sentence):
        SourceMonitor(**{"sources": samples(8), "layers": [""], **options})


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: SourceMonitor(samples(64), ["fusoin"]), "unknown layer 'fusoin'"),
        (lambda: SourceMonitor(samples(64, "abc"), [""]), "does not fit the sources a, b, c"),
        (lambda: SourceMonitor(samples(64), [""], anchors=0), "anchors = 0; expected a whole number"),
        (lambda: SourceMonitor(samples(64), [""], model="nett"), "SourceMonitor: unknown submodule 'nett'; known subm"),
    ],
)
def test_mistakes_are_told_before_the_first_step(made: Any, sentence: str) -> None:
    model = Two()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with pytest.raises(chiasm.ChiasmError, match=sentence):
        fit(made(), model=model)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_a_sharded_model_is_refused() -> None:
    class FSDPStrategy:
        pass

    class Trainer:
        strategy = FSDPStrategy()

    with pytest.raises(chiasm.ChiasmError, match="FSDPStrategy leaves none a whole model"):
        monitor().on_train_start(Trainer(), Two())


def test_without_lightning_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import chiasm.adapters.lightning as home

    with monkeypatch.context() as patched:
        for name in ("lightning.pytorch", "pytorch_lightning"):
            patched.setitem(sys.modules, name, None)
        bare: Any = importlib.reload(home)
        with pytest.raises(chiasm.ChiasmError, match="not installed; pip install pytorch-lightning"):
            bare.SourceMonitor(samples(8), [""])
    importlib.reload(home)
