"""The sizes that modules hold as integers, corrected after their tensors have changed shape."""

from collections.abc import Callable
from typing import Any

from torch import nn


def _linear(module: Any) -> None:
    module.out_features, module.in_features = module.weight.shape


def _convolution(module: Any) -> None:
    outputs, inputs = module.weight.shape[:2]
    if (
        1 < module.groups == module.in_channels
    ):  # a block for each input: the blocks are what was cut
        module.groups = outputs * module.groups // module.out_channels
    module.out_channels, module.in_channels = outputs, inputs * module.groups


def _transposed(module: Any) -> None:
    inputs, outputs = module.weight.shape[:2]
    if 1 < module.groups == module.in_channels:
        module.groups = inputs
    module.in_channels, module.out_channels = inputs, outputs * module.groups


def _batch_norm(module: Any) -> None:
    for tensor in (module.weight, module.running_mean):
        if tensor is not None:
            module.num_features = len(tensor)


def _layer_norm(module: Any) -> None:
    if module.weight is not None:
        module.normalized_shape = tuple(module.weight.shape)


def _group_norm(module: Any) -> None:
    if module.weight is not None:
        if module.num_groups == module.num_channels:
            module.num_groups = len(module.weight)
        module.num_channels = len(module.weight)


def _embedding(module: Any) -> None:
    module.num_embeddings, module.embedding_dim = module.weight.shape


def _recurrent(module: Any) -> None:
    module.input_size = module.weight_ih_l0.shape[1]
    module.hidden_size = module.weight_hh_l0.shape[1]
    module.flatten_parameters()


def _cell(module: Any) -> None:
    module.input_size, module.hidden_size = module.weight_ih.shape[1], module.weight_hh.shape[1]


def _attention(module: Any) -> None:
    packed = module.in_proj_weight is not None
    query = module.in_proj_weight if packed else module.q_proj_weight
    inner = len(query) // 3 if packed else len(query)
    module.num_heads = inner // module.head_dim
    module.embed_dim = query.shape[1]
    module.kdim = query.shape[1] if packed else module.k_proj_weight.shape[1]
    module.vdim = query.shape[1] if packed else module.v_proj_weight.shape[1]


def _transformer(module: Any) -> None:
    module.d_model = module.encoder.layers[0].linear1.in_features


def _bilinear(module: Any) -> None:
    module.out_features, module.in1_features, module.in2_features = module.weight.shape


def _prelu(module: Any) -> None:
    module.num_parameters = len(module.weight)


SIZES: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[Any], None]], ...] = (
    (nn.Linear, _linear),
    ((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    (nn.modules.batchnorm._NormBase, _batch_norm),
    ((nn.LayerNorm, nn.RMSNorm), _layer_norm),
    (nn.GroupNorm, _group_norm),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (nn.RNNBase, _recurrent),
    (nn.RNNCellBase, _cell),
    (nn.MultiheadAttention, _attention),
    (nn.Transformer, _transformer),
    (nn.Bilinear, _bilinear),
    (nn.PReLU, _prelu),
)


def correct_sizes(module: nn.Module) -> None:
    """In place: make the integers of a module of torch agree with the shapes of its tensors."""
    for kinds, correct in SIZES:
        if isinstance(module, kinds):
            correct(module)
            return
