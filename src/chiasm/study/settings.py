"""Settings: the sections of a study as typed objects, what one cell trains and measures with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from chiasm.errors import ChiasmError
from chiasm.measuring.probe import MEASURES, Probe, check_measures
from chiasm.networks import NETWORKS, Custom, Network
from chiasm.objectives import OBJECTIVES, Objective
from chiasm.registry import Registry, kind_digest, tag_of
from chiasm.structs import as_struct, fields_of, identifying
from chiasm.tasks import TASKS, Task
from chiasm.training import Training

NAME = re.compile(r"[^\W\d][\w-]*")
SECTIONS = ("task", "network", "training", "objective", "probe")


@dataclass(frozen=True)
class Settings:
    """Everything that one cell of a study trains and measures with, apart from its timeline and seed.

    Attributes:
        task: what there is to learn.
        network: what learns it.
        training: how.
        objective: the study's own.
        probe: what is measured meanwhile.
        objectives: all objectives that a timeline may name, the study's own under "".
    """

    task: Task
    network: Network
    training: Training
    objective: Objective
    probe: Probe
    objectives: Mapping[str, Objective]

    def plain(self) -> dict[str, Any]:
        """Return the sections as plain values, which are part of a run's identity; named objectives act in its legs."""
        tables = {section: identifying(getattr(self, section)) for section in SECTIONS}
        # The measure of the outcome goes by its former name, so that older nodes keep their keys.
        tables["probe"]["measures"] = ["accuracy" if name == "outcome" else name for name in self.probe.measures]
        if self.decodes:
            tables["network"]["decodes"] = True
        return tables

    @property
    def decodes(self) -> bool:
        """Whether an objective asks the network to rebuild its sources."""
        return any(objective.decodes for objective in self.objectives.values())

    def code_digest(self) -> str:
        """Return the hashes of the code outside the package that shapes a run: a factory, kinds of plug-ins."""
        measures = "".join(kind_digest(MEASURES[tag]) for tag in self.probe.measures)
        return self.network.code_digest() + kind_digest(self.task) + self.objective.code_digest() + measures


def settings_of(sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Turn the plain tables into typed settings, with errors that name the key."""
    options = dict(sections["network"])
    kind = options.get("kind")
    network: Network
    if isinstance(kind, str) and ":" in kind:
        network = Custom(kind=kind, options={k: v for k, v in options.items() if k != "kind"})
    else:
        network = as_struct(options, NETWORKS, "network", hint="or 'package.module:factory' for your own")
    objectives = _objectives(sections["objective"])
    if objectives[""].targets == "nothing":
        raise ChiasmError(
            f"objective.kind = '{tag_of(objectives[''])}' scores no answers, and a study's own objective says what its "
            f"outcome is; expected it as a phase's, [objective.pretrain] for instance, or as a term of a sum"
        )
    for name, objective in objectives.items():
        if objective.answers == "distances" and network.answers not in ("distances", "any"):
            where = f"objective.{name}.kind" if name else "objective.kind"
            raise ChiasmError(
                f"{where} = '{tag_of(objective)}' needs a network whose answers are distances, as those of "
                f"network.kind = 'deep_linear'; those of '{kind}' are logits: expected {where} = 'classify'"
            )
    probe = as_struct(sections["probe"], Probe, "probe")
    check_measures(probe)
    return Settings(
        task=as_struct(sections["task"], TASKS, "task"),
        network=network,
        training=as_struct(sections["training"], Training, "training"),
        objective=objectives[""],
        probe=probe,
        objectives=objectives,
    )


def _objectives(table: Mapping[str, Any]) -> dict[str, Objective]:
    """Return the study's own objective under "", and those of its sub-tables that have a kind under their names."""
    named = {key: value for key, value in table.items() if isinstance(value, Mapping) and "kind" in value}
    own = {key: value for key, value in table.items() if key not in named}
    objectives = {"": as_struct({"kind": "classify", **own}, OBJECTIVES, "objective")}
    for name, value in named.items():
        if not NAME.fullmatch(name):
            raise ChiasmError(f"[objective.{name}]: expected a name of letters, digits, _ and -, a letter or _ first")
        objectives[name] = as_struct(value, OBJECTIVES, f"objective.{name}")
    return objectives


def known_keys(raw: Mapping[str, Any], section: str) -> list[str]:
    """Return the keys that a section of this study may hold; empty where any key may stand (a user's own network)."""
    families: dict[str, Registry[Any]] = {"task": TASKS, "network": NETWORKS, "objective": OBJECTIVES}
    structs: dict[str, type[msgspec.Struct]] = {"training": Training, "probe": Probe}
    if section in structs:
        return [field.encode_name for field in fields_of(structs[section])]
    kind = raw.get(section, {}).get("kind", "classify" if section == "objective" else None)
    struct = families[section].get(kind) if isinstance(kind, str) else None
    return [] if struct is None else ["kind", *(field.encode_name for field in fields_of(struct))]
