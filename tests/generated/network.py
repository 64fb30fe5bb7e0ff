"""The network that a program describes, with random weights and an example."""

from typing import Any

import torch
from torch import Tensor, nn

from generated import maps, sequences
from generated.program import Program
from zoo import stir_


class Images(nn.Module):
    """A network of images."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        shape = (program.width, program.length)
        self.end = program.end
        self.blocks = nn.ModuleList()
        for block in program.blocks:
            self.blocks.append(maps.make(block, shape))
            shape = self.blocks[-1].shape
        width, side = shape
        features = width * side * side if self.end % 3 == 1 else width
        self.head = nn.Conv2d(width, 2, 1) if self.end % 3 == 2 else nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Any:
        outputs = self.modules()
        seen = [each.seen for each in outputs if isinstance(each, maps.Output)]
        for each in seen:
            each.clear()
        for block in self.blocks:
            x = block(x)
        if self.end % 3 == 0:
            y = self.head(x.mean((2, 3)))
        else:
            y = self.head(x.flatten(1)) if self.end % 3 == 1 else self.head(x)
        others = [each for more in seen for each in more]
        for each in seen:
            each.clear()
        return {"out": y, "others": others} if others or self.end > 3 else y


class Steps(nn.Module):
    """A network of sequences, of words or of vectors."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        shape = (program.width, program.length)
        self.end = program.end
        self.tied = self.end % 3 == 2
        if self.end < 3 or self.tied:
            self.embedding = nn.Embedding(7, program.width)
        if self.end > 2:
            self.first = nn.Linear(3, program.width)
        self.blocks = nn.ModuleList()
        for block in program.blocks:
            self.blocks.append(sequences.make(block, shape))
            shape = self.blocks[-1].shape
        same = self.tied and shape[0] == program.width
        self.head = (
            nn.Identity() if same else nn.Linear(shape[0], program.width if self.tied else 4)
        )

    def forward(self, x: Tensor) -> Any:
        seen = [each.seen for each in self.modules() if isinstance(each, sequences.Output)]
        for each in seen:
            each.clear()
        x = self.first(x) if x.is_floating_point() else self.embedding(x)
        for block in self.blocks:
            x = block(x)
        if self.end % 3 == 0:
            y = self.head(x)
        elif self.end % 3 == 1:
            y = self.head(x.mean(1))
        else:  # tied to the embedding
            y = self.head(x) @ self.embedding.weight.T
        others = [each for more in seen for each in more]
        for each in seen:
            each.clear()
        return (y, *others) if others else y


def build(program: Program) -> tuple[nn.Module, Tensor]:
    """Build a program's network and its example; the global random stream is left as found."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(program.seed)
        model = Images(program) if program.domain == "maps" else Steps(program)
        stir_(model)
        if program.domain == "maps":
            size = (program.batch, program.width, program.length, program.length)
            example = torch.randn(size).double()
        elif program.end > 2:
            example = torch.randn(program.batch, program.length, 3).double()
        else:
            example = torch.randint(7, (program.batch, program.length))
    return model.double(), example
