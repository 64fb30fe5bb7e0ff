"""The engine: replicas of one chain, trained as one batched model. A single run is a fleet of one."""

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument, Part, derive
from surplus.masks import Mask, on_weights
from surplus.passes import Performance
from surplus.training.forward import Forward
from surplus.training.layout import Layout, crop, up
from surplus.training.optimizer import Update
from surplus.training.spec import Training

EVALUATED = 1000  # examples per batch of an evaluation


@final
class Fleet:
    """Holds the parameters, buffers, masks and optimiser states of replicas, and takes steps with all of them.

    Args:
        models: The replicas' networks, alike but for their values; they are copied.
        trainings: How each is trained: alike but for learning rate and weight decay.
        seeds: The replicas' seeds, for dropout.
        device: Where the work is done.

    Raises:
        InvalidArgument: the networks are no chains, or differ in shape.
    """

    loss_sum: Float[Tensor, " replicas"]
    """The training losses since they were last taken."""
    loss_count: int
    _kept: Float[Tensor, "replicas params"] | None

    def __init__(
        self,
        models: Sequence[nn.Module],
        trainings: Sequence[Training],
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.template = copy.deepcopy(models[0]).cpu().eval()
        self.training = trainings[0]
        self.device = device
        self._seeds = list(seeds)
        self._rates = _column([each.optimizer.learning_rate for each in trainings], device)
        self._decays = _column([each.optimizer.weight_decay for each in trainings], device)
        self._has_decay = bool(self._decays.any())
        self._layout = Layout(self.template, self.training.batch_size)
        self._forward = Forward(self.template, self._layout.multiple)
        self._shapes = {name: tuple(t.shape) for name, t in self.template.state_dict().items()}
        self._classes = self._num_outputs()
        self._allocate(len(models))
        for replica, model in enumerate(models):
            self.load(replica, dict(model.state_dict()))
        self._loss = self._compiled() if self.training.compile else self._losses

    def __len__(self) -> int:
        return len(self._seeds)

    def step(
        self,
        step: int,
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Int[Tensor, "replicas batch"],
        amount: float,
    ) -> None:
        """Update every replica once, from the state at `step` to that at `step + 1`.

        Args:
            step: The step before the update.
            inputs: A batch for each replica.
            targets: Its labels.
            amount: The schedule's factor on the learning rate.
        """
        leaves = list(self._leaves.values())
        losses = self._loss(self._leaves, inputs, targets, step)
        gradients = torch.autograd.grad(losses.sum(), leaves)
        with torch.no_grad():
            self.loss_sum += losses.detach()
            self.loss_count += 1
            torch._foreach_copy_(self._gradient_views, gradients)
            self._updates += 1
            optimizer = self.training.optimizer
            optimizer.update(
                Update(
                    self._parameters,
                    self._gradients,
                    self._slots,
                    self._rates * amount,
                    self._decays,
                    self._has_decay,
                    self._updates,
                )
            )
            if self._kept is not None:
                self._parameters.mul_(self._kept)

    @torch.no_grad()
    def performance(self, part: Part) -> list[Performance]:
        """Return the loss and accuracy of every replica on a part, in evaluation mode."""
        loss = torch.zeros(len(self), dtype=torch.float64)
        correct = torch.zeros(len(self), dtype=torch.int64)
        for start in range(0, len(part), EVALUATED):
            count = min(EVALUATED, len(part) - start)
            # A last short batch is filled up, so that its length is one that the padding was made for.
            index = torch.arange(start, start + up(count, 8), device=self.device) % len(part)
            inputs, targets = part.batch(index)
            inputs = inputs.expand(len(self), *inputs.shape)
            with self._precision():
                outputs = self._forward(inputs, self._leaves, self._buffers)
            outputs = outputs[:, : self._classes, :count].float()
            labels = targets[:count].expand(len(self), -1)
            lost = F.cross_entropy(outputs, labels, reduction="none")
            loss += lost.double().sum(1).cpu()
            correct += (outputs.argmax(1) == labels).sum(1).cpu()
        return [
            Performance(float(each) / len(part), int(right), len(part))
            for each, right in zip(loss, correct, strict=True)
        ]

    def model(self, replica: int) -> nn.Module:
        """Return a copy of one replica as an ordinary module in evaluation mode, on the CPU."""
        model = copy.deepcopy(self.template)
        model.load_state_dict(self.tensors(replica))
        return model

    def tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's parameters and buffers by name, copied."""
        return {
            name: crop(each[replica].detach(), self._shapes[name]).to("cpu", copy=True)
            for name, each in {**self._leaves, **self._buffers}.items()
        }

    @torch.no_grad()
    def load(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's parameters and buffers.

        Raises:
            InvalidArgument: a tensor is missing, has another shape, or is none of the network's.
        """
        unknown = sorted(tensors.keys() - self._shapes.keys())
        if unknown:
            raise InvalidArgument(f"The network has no `{unknown[0]}`; a replica of it holds one.")
        for name, target in {**self._leaves, **self._buffers}.items():
            given, shape = tensors.get(name), self._shapes[name]
            if given is None or tuple(given.shape) != shape:
                found = "missing" if given is None else f"of shape {tuple(given.shape)}"
                raise InvalidArgument(f"`{name}` is {found}; the network has {shape}.")
            crop(target[replica], shape).copy_(given)

    @torch.no_grad()
    def set_mask(self, replica: int, mask: Mask) -> None:
        """Make one replica keep to a mask from now on: what it removes is zero, and so is its optimiser state."""
        if self._kept is None:
            self._kept = self._layout.rows(len(self), self.device, fill=1.0)
        views = self._layout.views(self._kept)
        self._kept[replica] = 1.0
        for name, kept in on_weights(self.template, mask).items():
            crop(views[name][replica], self._shapes[name]).copy_(kept)
        removed = self._kept == 0  # not a product: a removed NaN or infinity must go, too
        for rows in (self._parameters, *self._slots.values()):
            rows.masked_fill_(removed, 0.0)

    def optimizer_tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's optimiser state by slot and parameter, with its count of updates."""
        found = {
            f"{slot}/{name}": crop(view[replica], self._shapes[name]).to("cpu", copy=True)
            for slot, rows in self._slots.items()
            for name, view in self._layout.views(rows).items()
        }
        found["updates"] = torch.tensor(self._updates)
        found["loss_sum"] = self.loss_sum[replica].to("cpu", copy=True)
        found["loss_count"] = torch.tensor(self.loss_count)
        return found

    @torch.no_grad()
    def load_optimizer(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's optimiser state."""
        for slot, rows in self._slots.items():
            for name, view in self._layout.views(rows).items():
                crop(view[replica], self._shapes[name]).copy_(tensors[f"{slot}/{name}"])
        self._updates = int(tensors["updates"])
        self.loss_sum[replica] = tensors["loss_sum"]
        self.loss_count = int(tensors["loss_count"])

    def take_losses(self) -> list[float]:
        """Return each replica's mean training loss since the last call, and begin anew."""
        means = (self.loss_sum / max(1, self.loss_count)).tolist()
        self.loss_sum.zero_()
        self.loss_count = 0
        return means

    def _allocate(self, count: int) -> None:
        self._parameters = self._layout.rows(count, self.device)
        self._gradients = self._layout.rows(count, self.device)
        self._slots = {
            name: self._layout.rows(count, self.device) for name in self.training.optimizer.slots
        }
        self._kept = None
        self._leaves = {
            name: view.detach().requires_grad_()
            for name, view in self._layout.views(self._parameters).items()
        }
        self._gradient_views = list(self._layout.views(self._gradients).values())
        self._buffers = {
            name: torch.stack([self._layout.pad(name, each)] * count).to(self.device)
            for name, each in self.template.named_buffers()
        }
        self._updates = 0
        self.loss_sum = torch.zeros(count, device=self.device, dtype=torch.float64)
        self.loss_count = 0

    def _losses(
        self,
        leaves: Mapping[str, Float[Tensor, "replicas ..."]],
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Int[Tensor, "replicas batch"],
        step: int,
    ) -> Float[Tensor, " replicas"]:
        def noise(
            name: str, replica: int, like: Float[Tensor, "*features"]
        ) -> Float[Tensor, "*features"]:
            return self._draw(self._seeds[replica], name, step, like)

        count = targets.shape[1]
        if count == 1:  # a lone example would take another kernel in a fleet of one
            inputs = inputs.expand(-1, 2, *inputs.shape[2:])
        with self._precision():
            outputs = self._forward(inputs, leaves, self._buffers, noise)
        outputs = outputs[:, : self._classes, :count].float()
        return F.cross_entropy(outputs, targets, reduction="none").mean(1)

    def _draw(
        self, seed: int, name: str, step: int, like: Float[Tensor, "*features"]
    ) -> Float[Tensor, "*features"]:
        # Drawn on the CPU from a stream of its own, so that neither the device nor a resume changes it.
        generator = torch.Generator().manual_seed(derive(seed, "dropout", name, step))
        return torch.rand(like.shape, generator=generator).to(like.device)

    def _num_outputs(self) -> int:
        widths = [
            module.out_features
            for module in self.template.modules()
            if isinstance(module, nn.Linear)
        ]
        if not widths:
            raise InvalidArgument("The network has no dense layer that could be its output.")
        return widths[-1]

    def _precision(self) -> AbstractContextManager[object]:
        if self.training.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _compiled(self) -> Callable[..., Float[Tensor, " replicas"]]:
        backend = self.training.compile
        if backend == "inductor" and self.device.type == "cpu" and not _compiler():
            raise InvalidArgument(
                '`compile` is "inductor", which needs a C++ compiler, and none is installed.'
                ' Install one (Debian and Ubuntu: "apt-get install g++"; macOS: "xcode-select --install").'
            )
        compiled: Callable[..., Tensor] = torch.compile(self._losses, backend=backend or "inductor")
        return compiled


def _column(values: Sequence[float], device: torch.device) -> Float[Tensor, "replicas 1"]:
    return torch.tensor(values, device=device)[:, None]


def _compiler() -> str | None:
    return shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
