"""A picture and a question about it: some questions need the picture, others their words alone answer in most cases."""

from __future__ import annotations

from typing import Annotated, ClassVar, final

import torch
from msgspec import Meta

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.task import Data, Description, Task, validate

COLOURS = ("red", "green", "blue", "yellow")
RGB = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
PLACES = ("top left", "top right", "bottom left", "bottom right")
#: Things by the colour that they usually have, as in COLOURS.
THINGS = ("tomato", "frog", "whale", "lemon")
#: Words, in the order of the question's numbers.
WORDS = ("what colour", "where", "is the", *THINGS, "thing")


@final
class VisualQuestion(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="question"):
    """Answer a question of words about a picture of one coloured square.

    "where is the thing": one of four places, which only the picture tells. "what colour is the lemon": one of four
    colours, which the picture tells too, but a lemon is yellow in most training samples, so its name alone answers most
    of them. Whether a network looks, shows where it does not help to guess: on test samples whose colours are unusual.

    Attributes:
        size: pixels a side, even.
        usual: the share of training samples in which a thing has its usual colour; 1/4 is chance.
        test_usual: the same of test samples; at 1/4 words alone tell nothing.
        colours: the share of questions that are about colours.
        noise: standard deviation of noise on every pixel.
        train: training samples (in an epoch).
        test: test samples, from a stream of their own.
        fresh: whether every epoch brings new training samples.
    """

    size: Annotated[int, Meta(ge=4)] = 8
    usual: Annotated[float, Meta(ge=0.25, le=1)] = 0.9
    test_usual: Annotated[float, Meta(ge=0.25, le=1)] = 0.25
    colours: Annotated[float, Meta(ge=0, le=1)] = 0.5
    noise: Annotated[float, Meta(ge=0)] = 0.5
    train: Annotated[int, Meta(ge=1)] = 2048
    test: Annotated[int, Meta(ge=1)] = 2000
    fresh: bool = False

    source_names: ClassVar[tuple[str, ...]] = ("picture", "words")

    def __post_init__(self) -> None:
        validate(self)
        if self.size % 2:
            raise ChiasmError(f"size = {self.size}; expected an even number of pixels, for four places")

    def describe(self) -> Description:
        """Return "picture" (3, size, size) and "words", a sequence of three words, each one of a vocabulary."""
        return Description(
            sources=(
                Source("picture", (3, self.size, self.size), "image"),
                Source("words", (3, len(WORDS)), "sequence"),
            ),
            classes=(*COLOURS, *PLACES),
            train=self.train,
            test=self.test,
            chance=max(self.colours, 1 - self.colours) / 4,
            note="A question about a picture: some need it, others are answered by their words in most cases.",
        )

    def draws(self) -> bool:
        """Return the field `fresh`."""
        return self.fresh

    def load(self, seed: int) -> Data:
        """Return the sets of a seed; the training set is `draw(seed, 0)`."""
        return Data(self.draw(seed, 0), self._sample(generator(seed, "task test"), self.test, self.test_usual))

    def draw(self, seed: int, epoch: int) -> Batch:
        """Return a whole new training epoch: `train` samples from the stream of (seed, epoch)."""
        return self._sample(generator(seed, "task train", epoch), self.train, self.usual)

    def _sample(self, stream: torch.Generator, samples: int, usual: float) -> Batch:
        thing, place, other = (torch.randint(4, (samples,), generator=stream) for _ in range(3))
        kept, asked = (torch.rand(samples, generator=stream) for _ in range(2))
        # By chance a quarter of the others have their usual colour too.
        colour = torch.where(kept < (usual - 0.25) / 0.75, thing, other)
        about_colour = asked < self.colours
        half = self.size // 2
        picture = torch.zeros(samples, 3, 2, half, 2, half)
        rows = torch.arange(samples)
        picture[rows, :, place // 2, :, place % 2, :] = RGB[colour][:, :, None, None].expand(-1, -1, half, half)
        picture = picture.reshape(samples, 3, self.size, self.size)
        picture = picture + self.noise * torch.randn(picture.shape, generator=stream)
        sentence = torch.stack(
            [
                torch.where(about_colour, WORDS.index("what colour"), WORDS.index("where")),
                torch.full((samples,), WORDS.index("is the")),
                torch.where(about_colour, WORDS.index(THINGS[0]) + thing, WORDS.index("thing")),
            ],
            1,
        )
        words = torch.nn.functional.one_hot(sentence, len(WORDS)).float()
        target = torch.where(about_colour, colour, 4 + place)
        return Batch({"picture": picture, "words": words}, target, self._baseline())

    def _baseline(self) -> dict[str, torch.Tensor]:
        """The means: every thing, colour and place is equally frequent."""
        words = torch.zeros(3, len(WORDS))
        words[0, :2] = torch.tensor([self.colours, 1 - self.colours])
        words[1, WORDS.index("is the")] = 1.0
        words[2, WORDS.index(THINGS[0]) : WORDS.index("thing")] = self.colours / 4
        words[2, WORDS.index("thing")] = 1 - self.colours
        picture = (RGB.mean(0) / 4).view(3, 1, 1).expand(3, self.size, self.size).clone()
        return {"picture": picture, "words": words}
