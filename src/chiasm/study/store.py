"""Nodes on disk: one safetensors file each, whole or not there, checked whenever it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.training import State

#: (epoch, quantity, layer or None, source or None, value)
Record = tuple[int, str, str | None, str | None, float]
KINDS = ("weights", "buffers", "slots")


@dataclass(frozen=True)
class Stored:
    """What a node holds.

    Attributes:
        key: its address.
        parent: the node it was trained from; None for a root.
        epoch: epochs completed.
        start: the parent's epoch.
        diverged: whether the loss became non-finite on the way; then there is no state to go on from.
        records: numbers measured after `start` and up to `epoch`.
        units: per-unit arrays by "<epoch>/<layer>/<field>".
        state: what training goes on from; None when only the numbers were read, or the run diverged.
    """

    key: str
    parent: str | None
    epoch: int
    start: int
    diverged: bool
    records: list[Record] = field(default_factory=list)
    units: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    state: State | None = None


class Store:
    """A folder of nodes, written by a thread of its own.

    Safe to share between processes: a file appears whole under its final name or not at all, and equal keys hold equal
    bits, so two writers cannot spoil each other.

    Args:
        folder: where the nodes are; made when the first node is written.
        say: told one sentence about every damaged file that is set aside.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.say = say
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown(wait=True)
        if kind is None:
            self.flush()

    def path(self, key: str) -> Path:
        """Return where the node of this key is, or would be."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def put(self, node: Stored) -> None:
        """Hand a node to the writer; an earlier failed write is raised here, as one sentence."""
        for done in [pending for pending in self._pending if pending.done()]:
            self._pending.remove(done)
            done.result()
        self._pending.append(self._writer.submit(self._write, node))

    def flush(self) -> None:
        """Wait until everything handed over is on disk."""
        for pending in self._pending:
            pending.result()
        self._pending = []

    def get(self, key: str, state: bool = False) -> Stored | None:
        """Read and check a node.

        Args:
            key: the node's key.
            state: whether to return the tensors that training goes on from.

        Returns:
            The node; None if it is not there. A damaged file is said aloud, set aside as `*.damaged`, and None.
        """
        path = self.path(key)
        try:
            if not path.is_file():
                return None
            return _read(path, key, state)
        except FileNotFoundError:  # another process has set it aside meanwhile
            return None
        except OSError as error:
            raise ChiasmError(f"'{path}' cannot be read: {error.strerror or error}") from error
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            self._set_aside(path)
            self.say(f"node {key[:12]} is damaged ({_brief(error)}); it is set aside and computed again")
            return None

    @staticmethod
    def _set_aside(path: Path) -> None:
        try:
            path.replace(path.with_suffix(".damaged"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ChiasmError(f"'{path}' is damaged and cannot be set aside: {error.strerror}") from error

    def _write(self, node: Stored) -> None:
        tensors = {f"units/{name}": torch.from_numpy(np.array(x, order="C")) for name, x in node.units.items()}
        if node.state is not None:
            for kind in KINDS:
                part: Mapping[str, Tensor] = getattr(node.state, kind)
                tensors |= {f"{kind}/{name}": t.cpu().contiguous() for name, t in part.items()}
        about = {
            "key": node.key,
            "parent": node.parent,
            "epoch": node.epoch,
            "start": node.start,
            "diverged": node.diverged,
            "records": node.records,
        }
        text = json.dumps(about, separators=(",", ":"))
        write_whole(self.path(node.key), save(tensors, {"node": text, "sha256": _digest(text, tensors)}))


def _read(path: Path, key: str, state: bool) -> Stored:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    text = metadata["node"]
    if _digest(text, tensors) != metadata["sha256"]:
        raise ValueError("its checksum does not match its content")
    about = json.loads(text)
    if about["key"] != key:
        raise ValueError("it belongs to another key")
    kinds = {
        kind: {n.removeprefix(f"{kind}/"): t for n, t in tensors.items() if n.startswith(f"{kind}/")} for kind in KINDS
    }
    units = {n.removeprefix("units/"): t.numpy() for n, t in tensors.items() if n.startswith("units/")}
    return Stored(
        key=key,
        parent=about["parent"],
        epoch=about["epoch"],
        start=about["start"],
        diverged=about["diverged"],
        records=[(e, q, layer, source, float(v)) for e, q, layer, source, v in about["records"]],
        units=units,
        state=State(**kinds) if state and kinds["weights"] else None,
    )


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Hash a node's text and, in the order of their names, its tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\x1e{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1f".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
