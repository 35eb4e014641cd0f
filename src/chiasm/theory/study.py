"""A theory study: settings of an exact computation whose result has a page."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from chiasm.registry import Registry


class TheoryStudy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Settings of a theory study.

    A kind is a frozen struct with a tag; its fields are the keys of the study file. Beside it lies a module `page` with
    two functions of the result: `findings`, sentences, the headline first, and `panels`, figures; and, where more than
    the first picture is to stand beside the headline, the names `FIRST` of up to three.
    """

    def run(self, progress: Callable[[float], None] | None = None) -> Any:
        """Compute the result, which has a method `frame` that returns a table, or tables by name.

        Args:
            progress: called with the share that is done, in [0, 1].

        Raises:
            ChiasmError: a setting is out of range.
        """
        raise NotImplementedError

    def page(self) -> Any:
        """Return the module with `findings` and `panels`, imported only now, as it draws."""
        return import_module(f"{type(self).__module__.rpartition('.')[0]}.page")


THEORIES: Registry[TheoryStudy] = Registry("theory", TheoryStudy, "chiasm.theory")
