"""The monitor in the Trainer of transformers, and `measure` itself on tiny random models of transformers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor, nn

import chiasm

pytest.importorskip("transformers")

import transformers

from chiasm.adapters.transformers import SourceMonitor

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGE = {"image_size": 8, "patch_size": 4}
WORDS, LENGTH, LAST = 40, 6, 39


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def tokens(n: int) -> dict[str, Tensor]:
    ids = torch.randint(2, LAST, (n, LENGTH), generator=torch.Generator().manual_seed(0))
    ids[:, -1] = LAST
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def clip() -> Any:
    torch.manual_seed(2)
    text = {"vocab_size": WORDS, "max_position_embeddings": LENGTH, "eos_token_id": LAST, "attention_dropout": 0.2}
    config = transformers.CLIPConfig(text_config={**TINY, **text}, vision_config={**TINY, **IMAGE}, projection_dim=12)
    return transformers.CLIPModel(config)


def text_and_image(n: int = 64) -> dict[str, Any]:
    return {"text": tokens(n), "image": {"pixel_values": images(n, 1)}}


def matched(model: nn.Module, sources: Any) -> Tensor:
    """Each text with its own image: (n,)."""
    similarity: Tensor = model(**sources["text"], **sources["image"]).logits_per_image.diagonal()
    return similarity


class TwoImages(nn.Module):
    """Two vision transformers joined by a linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        config = transformers.ViTConfig(**TINY, **IMAGE, hidden_dropout_prob=0.2)
        self.left, self.right = transformers.ViTModel(config), transformers.ViTModel(config)
        self.head = nn.Linear(32, 3)

    def forward(self, left: Tensor, right: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        seen = [self.left(left).pooler_output, self.right(right).pooler_output]
        logits = self.head(torch.cat(seen, 1))
        loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)}
        return {**loss, "logits": logits}


def left_and_right(n: int = 64) -> dict[str, Tensor]:
    return {"left": images(n, 4), "right": images(n, 5)}


@pytest.mark.parametrize(
    ("layer", "units", "rsv"),
    [
        ("text_model.encoder.layers.0", 16, 1.0),
        ("text_projection", 12, 1.0),
        ("text_model:pooler_output", 16, 1.0),
        (":text_embeds", 12, 1.0),
        ("vision_model.encoder:last_hidden_state", 16, -1.0),
        ("vision_model:pooler_output", 16, -1.0),
        ("visual_projection", 12, -1.0),
        (":image_embeds", 12, -1.0),
    ],
)
def test_towers_of_a_clip_listen_to_their_own_source_only(layer: str, units: int, rsv: float) -> None:
    found = chiasm.measure(clip(), text_and_image(), [layer], anchors=32)[layer]
    assert len(found) == units
    # Not exactly: attention over a batch of another order may round differently, by about 1e-7 of a value.
    assert found.mean_rsv("text", "image") == pytest.approx(rsv, abs=1e-6)


def test_the_similarity_of_a_clip_needs_both_sources() -> None:
    found = chiasm.measure(clip(), text_and_image(), [""], anchors=64, forward=matched)[""]
    assert len(found) == 1
    assert 0 < found.mean_synergy() < 1
    assert abs(found.mean_rsv("text", "image")) < 0.99


def test_similarities_between_the_samples_of_a_pass_are_no_units() -> None:
    with pytest.raises(chiasm.ChiasmError, match="the same however many samples are shown together"):
        chiasm.measure(clip(), text_and_image(), [":logits_per_image"], anchors=32)


def test_two_towers_under_a_linear_head_add_up() -> None:
    m = chiasm.measure(TwoImages(), left_and_right(), ["left.layers.1", "right.pooler", ":logits"], anchors=64)
    assert m["left.layers.1"].mean_rsv("left", "right") == pytest.approx(1, abs=1e-6)
    assert m["right.pooler"].mean_rsv("left", "right") == pytest.approx(-1, abs=1e-6)
    assert m[":logits"].mean_synergy() == pytest.approx(0, abs=1e-6)
    assert (abs(m[":logits"].rsv()) < 0.95).all()


class Seen(transformers.TrainerCallback):
    """What an integration would be sent."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.logs.append(dict(logs))


def pairs() -> list[dict[str, Any]]:
    left, right = left_and_right(24).values()
    return [{"left": left[i], "right": right[i], "labels": i % 3} for i in range(24)]


def texts() -> list[dict[str, Any]]:
    return [{**{k: v[i] for k, v in tokens(24).items()}, "pixel_values": images(24, 1)[i]} for i in range(24)]


def with_loss(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {**{key: torch.stack([row[key] for row in rows]) for key in rows[0]}, "return_loss": True}


def trainer(folder: Path, model: nn.Module | None = None, *callbacks: Any, epochs: int = 3, **options: Any) -> Any:
    kind = isinstance(model, transformers.CLIPModel)
    quiet = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
    settings = {**quiet, "num_train_epochs": epochs, "per_device_train_batch_size": 8, "logging_strategy": "epoch"}
    made = transformers.Trainer(
        model=model or TwoImages(),
        args=transformers.TrainingArguments(str(folder), **{**settings, **options}),
        train_dataset=texts() if kind else pairs(),
        data_collator=with_loss if kind else None,
        callbacks=list(callbacks),
    )
    made.remove_callback(transformers.PrinterCallback)
    return made


def monitor(**options: Any) -> SourceMonitor:
    return SourceMonitor(left_and_right(), ["head"], **{"anchors": 32, **options})


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(x, other.state_dict()[name]) for name, x in one.state_dict().items())


def test_a_monitored_run_ends_with_the_bits_of_one_without(tmp_path: Path) -> None:
    def drawing() -> dict[str, Tensor]:
        torch.rand(5)  # as the order of a data loader does
        return left_and_right()

    alone = trainer(tmp_path)
    lost = alone.train().training_loss
    watched = trainer(tmp_path)  # it is made that the Trainer seeds the global streams
    SourceMonitor(drawing, ["head"], anchors=16).attach(watched)
    assert watched.train().training_loss == lost
    assert same(alone.model, watched.model)


def test_a_clip_is_watched_as_it_trains(tmp_path: Path) -> None:
    alone = trainer(tmp_path, clip())
    alone.train()
    watched = trainer(tmp_path, clip())
    seen = SourceMonitor(text_and_image(), ["text_projection", ""], forward=matched, anchors=32).attach(watched)
    watched.train()
    assert same(alone.model, watched.model)
    # Text only, but for the rounding of attention in batches of another order.
    text = seen.frame().filter(layer="text_projection", quantity="rsv_mean")["value"].to_list()
    assert text == pytest.approx([1, 1, 1], abs=1e-6)
    told = chiasm.measure(watched.model, text_and_image(), [""], forward=matched, anchors=32)
    last = seen.frame().filter(layer="", quantity="synergy_mean", epoch=3)["value"].to_list()
    assert last == [told[""].mean_synergy()]


@pytest.mark.parametrize("attached", [True, False])
def test_the_log_holds_the_numbers_and_keeps_what_the_trainer_logs(tmp_path: Path, attached: bool) -> None:
    listener, seen = Seen(), monitor()
    made = trainer(tmp_path, None, listener, *([] if attached else [seen]))
    if attached:
        assert seen.attach(made) is seen.attach(made)  # once is enough
        assert made.callback_handler.callbacks.count(seen) == 1
    made.train()
    names = ["chiasm/head/rsv_mean", "chiasm/head/synergy_mean", "chiasm/head/polarised", "chiasm/head/dead"]
    ours = [log for log in made.state.log_history if names[0] in log]
    assert [(log["epoch"], log["step"]) for log in ours] == [(1, 3), (2, 6), (3, 9)]
    assert all(set(log) == {*names, "epoch", "step"} for log in ours)
    assert [log[names[0]] for log in ours] == seen.frame().filter(quantity="rsv_mean")["value"].to_list()
    # The Trainer's own loss, of every epoch, in spite of ours, which was logged just before it.
    assert len([log for log in made.state.log_history if "loss" in log]) == 3
    assert len([log for log in listener.logs if names[0] in log]) == (3 if attached else 0)


def test_steps_are_counted_as_the_optimiser_counts_them(tmp_path: Path) -> None:
    seen = monitor(every=2, unit="step")
    trainer(tmp_path, None, seen, epochs=2).train()
    assert seen.frame()["step"].unique().to_list() == [2, 4, 6]
    late = monitor(every=2)
    trainer(tmp_path, None, late, epochs=9, max_steps=11).train()  # the fourth epoch ends early
    assert late.frame()["step"].unique().to_list() == [6, 11]


def test_a_resumed_run_has_the_whole_history(tmp_path: Path) -> None:
    whole, first, second = monitor(), monitor(), monitor()
    trainer(tmp_path / "whole", None, whole).train()
    trainer(tmp_path / "cut", None, first, save_strategy="epoch").train()
    trainer(tmp_path / "cut", None, second).train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-6"))
    # The Trainer sorts the names of its log when it saves it.
    ours, theirs = (seen.frame().filter(pl.col("step") < 9).sort("step", "quantity") for seen in (second, whole))
    assert ours.equals(theirs)
    assert second.frame()["step"].unique().to_list() == [3, 6, 9]


def test_a_loop_of_ones_own_may_call_it() -> None:
    model, seen = TwoImages(), monitor()
    state, control = transformers.TrainerState(), transformers.TrainerControl()
    seen.on_train_begin(None, state, control, model=model)
    for epoch in (1, 2):
        state.epoch, state.global_step = float(epoch), 10 * epoch
        seen.on_epoch_end(None, state, control, model=model)
    assert [log["step"] for log in state.log_history] == [10, 20]
    assert seen.last is not None
    assert seen.last["head"].mean_rsv() == seen.frame().filter(quantity="rsv_mean")["value"][-1]
    assert model.training


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: SourceMonitor(left_and_right(), ["haed"]), r"unknown layer 'haed'.*\(did you mean 'head'\?\)"),
        (lambda: SourceMonitor({"left": images(9, 0)}, ["head"]), r"1 source given \(left\); two or more"),
        (lambda: SourceMonitor(left_and_right(), ["head"], unit="batch"), "unit = 'batch'; expected 'epoch' or 'step'"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_told_before_the_first_step(tmp_path: Path, made: Any, sentence: str) -> None:
    model = TwoImages()
    with pytest.raises(chiasm.ChiasmError, match=sentence):
        trainer(tmp_path, model, made()).train()
    assert same(model, TwoImages())


def test_a_sharded_model_is_refused() -> None:
    class Arguments:
        fsdp = ("full_shard",)

    with pytest.raises(chiasm.ChiasmError, match="FSDP or ZeRO-3 leaves none a whole model"):
        monitor().on_train_begin(Arguments(), transformers.TrainerState(), None, model=TwoImages())


def test_without_transformers_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import chiasm.adapters.transformers as home

    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "transformers", None)
        bare: Any = importlib.reload(home)
        with pytest.raises(chiasm.ChiasmError, match="not installed; pip install transformers"):
            bare.SourceMonitor(left_and_right(), ["head"])
    importlib.reload(home)
