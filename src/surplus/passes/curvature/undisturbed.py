"""The conditions under which a network is differentiated twice, and left as it was found."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from surplus.units import evaluating, left_as_found

# What PyTorch says to itself while it differentiates; a user can do nothing about it.
OF_TORCH = (
    r"`torch\.jit\.script`",
    "TF32 acceleration on top of oneDNN",
    "There is a performance drop because we have not yet implemented the batching rule",
)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, on kernels that can be differentiated twice; put everything back afterwards.

    Fused attention and fused recurrent layers have no second derivatives, but PyTorch has the same functions written
    out in operators that do.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        for words in OF_TORCH:
            warnings.filterwarnings("ignore", words)
        stack.enter_context(left_as_found(model))
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(each, nn.RNNBase) for each in model.modules()):
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        yield
