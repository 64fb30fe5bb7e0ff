"""Models of the `transformers` library, built from small configurations with random weights: nothing is downloaded.

Some of them normalise in single precision, whatever the type of their weights; here they do it in double, so that cut
and masked can be compared to the last digits.
"""

import copy
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from surplus.edits import cut, cut_, load, replay_, save
from surplus.masks import Mask, Scores, enforce_, keep
from surplus.units import copied, find_units
from zoo import run, stir_
from zoo.test_cut import leaves, random_mask

os.environ["HF_HUB_OFFLINE"] = "1"

WORDS = dict(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
DECODER = dict(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=24,
    max_position_embeddings=12,
    use_cache=False,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
IMAGES = dict(
    image_size=16,
    patch_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    num_labels=3,
)
PAIR = dict(
    vocab_size=20,
    d_model=16,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=24,
    decoder_ffn_dim=24,
    use_cache=False,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=1,
)
PARTS = dict(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=1,
    num_attention_heads=4,
    projection_dim=8,
)


def words() -> Tensor:
    return torch.randint(3, 20, (2, 6))


def image(side: int = 16) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(2, 3, side, side)}


def asked() -> dict[str, Tensor]:
    return {"input_ids": words()}


def asked_and_answered() -> dict[str, Tensor]:
    return {"input_ids": words(), "decoder_input_ids": words()}


class Entry(NamedTuple):
    """A model by the name of its class, the settings of its configuration, its inputs, and what can be removed."""

    model: str
    config: str
    settings: dict[str, Any]
    inputs: Callable[[], dict[str, Tensor]]
    removable: dict[str, int]
    """How many groups of each kind."""


FOUR = {"head": 2, "neuron": 2}
WIDE = FOUR | {"embedding feature": 1}
MAIN = {
    "bert": Entry("BertModel", "BertConfig", WORDS, asked, FOUR),
    "bert classifier": Entry(
        "BertForSequenceClassification",
        "BertConfig",
        WORDS | {"num_labels": 3},
        lambda: asked() | {"attention_mask": torch.tensor([[1] * 6, [1] * 4 + [0] * 2])},
        {"head": 2, "neuron": 3, "embedding feature": 1},  # the pooler's neurons, too
    ),
    "gpt2": Entry(
        "GPT2LMHeadModel",
        "GPT2Config",
        dict(
            vocab_size=20,
            n_embd=16,
            n_layer=2,
            n_head=4,
            n_positions=12,
            bos_token_id=1,
            eos_token_id=2,
            attn_pdrop=0.0,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
            use_cache=False,
        ),
        asked,
        WIDE,
    ),
    "vit": Entry("ViTForImageClassification", "ViTConfig", IMAGES, image, FOUR | {"filter": 1}),
    "llama": Entry("LlamaForCausalLM", "LlamaConfig", DECODER, asked, WIDE),
}
OTHERS = {
    "roberta": Entry("RobertaModel", "RobertaConfig", WORDS, asked, FOUR),
    "distilbert": Entry(
        "DistilBertModel",
        "DistilBertConfig",
        dict(
            vocab_size=20, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=12
        ),
        asked,
        FOUR,
    ),
    "modernbert": Entry(
        "ModernBertModel",
        "ModernBertConfig",
        dict(WORDS, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
        asked,
        FOUR,
    ),
    "mistral": Entry(
        "MistralForCausalLM", "MistralConfig", DECODER | {"sliding_window": 4}, asked, WIDE
    ),
    "qwen2": Entry("Qwen2ForCausalLM", "Qwen2Config", DECODER, asked, WIDE),
    "qwen3": Entry("Qwen3ForCausalLM", "Qwen3Config", DECODER | {"head_dim": 4}, asked, WIDE),
    "gemma": Entry("GemmaForCausalLM", "GemmaConfig", DECODER | {"head_dim": 4}, asked, WIDE),
    "phi": Entry("PhiForCausalLM", "PhiConfig", DECODER, asked, WIDE),
    "gpt-neox": Entry("GPTNeoXForCausalLM", "GPTNeoXConfig", DECODER, asked, WIDE),
    "mixtral": Entry(
        "MixtralForCausalLM",
        "MixtralConfig",
        DECODER | dict(num_local_experts=3, num_experts_per_tok=2, experts_implementation="eager"),
        asked,
        {"head": 2, "filter": 2, "embedding feature": 1},  # neurons of all experts are a filter
    ),
    "opt": Entry(
        "OPTForCausalLM",
        "OPTConfig",
        DECODER | dict(ffn_dim=24, word_embed_proj_dim=16),
        asked,
        WIDE,
    ),
    "t5": Entry(
        "T5ForConditionalGeneration",
        "T5Config",
        dict(
            vocab_size=20, d_model=16, d_kv=4, d_ff=24, num_layers=1, num_heads=4, use_cache=False
        ),
        asked_and_answered,
        {"head": 3, "neuron": 2},
    ),
    "bart": Entry(
        "BartForConditionalGeneration",
        "BartConfig",
        PAIR | {"max_position_embeddings": 12},
        asked_and_answered,
        {"head": 3, "neuron": 2},
    ),
    "whisper": Entry(
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        PAIR | dict(num_mel_bins=6, max_source_positions=8, max_target_positions=12),
        lambda: {"input_features": torch.randn(2, 6, 16), "decoder_input_ids": words()},
        {"head": 3, "neuron": 2, "filter": 1, "embedding feature": 1},
    ),
    "clip": Entry(
        "CLIPModel",
        "CLIPConfig",
        dict(
            text_config=PARTS | dict(vocab_size=20, max_position_embeddings=12),
            vision_config=PARTS | dict(image_size=16, patch_size=8),
            projection_dim=8,
        ),
        lambda: asked() | image(),
        {"head": 2, "neuron": 2},
    ),
    "wav2vec2": Entry(
        "Wav2Vec2ForCTC",
        "Wav2Vec2Config",
        dict(
            vocab_size=10,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=24,
            conv_dim=[8, 8],
            conv_stride=[2, 2],
            conv_kernel=[3, 3],
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
        ),
        lambda: {"input_values": torch.randn(2, 40)},
        {"head": 1, "neuron": 2, "filter": 2},
    ),
    "swin": Entry(
        "SwinForImageClassification",
        "SwinConfig",
        dict(
            image_size=16,
            patch_size=2,
            embed_dim=8,
            depths=[2, 1],
            num_heads=[2, 4],
            window_size=2,
            num_labels=3,
        ),
        image,
        {"head": 3, "neuron": 4, "filter": 1},
    ),
    "segformer": Entry(
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        dict(
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[8, 12],
            patch_sizes=[7, 3],
            strides=[2, 2],
            num_attention_heads=[2, 2],
            mlp_ratios=[2, 2],
            decoder_hidden_size=12,
            num_labels=3,
        ),
        image,
        {"head": 2, "neuron": 4, "filter": 3},
    ),
    "resnet": Entry(
        "ResNetForImageClassification",
        "ResNetConfig",
        dict(
            embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=3
        ),
        image,
        {"filter": 4},
    ),
    "convnext": Entry(
        "ConvNextForImageClassification",
        "ConvNextConfig",
        dict(num_stages=2, hidden_sizes=[8, 12], depths=[1, 1], num_labels=3, patch_size=2),
        image,
        {"filter": 2, "neuron": 2},
    ),
    "mobilenet-v2": Entry(
        "MobileNetV2ForImageClassification",
        "MobileNetV2Config",
        dict(image_size=32, depth_multiplier=0.1, depth_divisible_by=4, min_depth=4, num_labels=3),
        lambda: image(32),
        {"filter": 25},
    ),
}
CASES = [(name, attention) for name in MAIN for attention in ("eager", "sdpa")]


class Long(TorchDispatchMode):
    """Leaves numbers in double precision where a model asks for single."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if operator is torch.ops.aten._to_copy.default and args[0].dtype == torch.float64:
            if kwargs.get("dtype") == torch.float32:
                kwargs["dtype"] = torch.float64
        return operator(*args, **kwargs)


@pytest.fixture(autouse=True)
def long():
    with Long():
        yield


def build(entry: Entry, attention: str = "eager", seed: int = 0) -> tuple[nn.Module, Any]:
    import transformers

    transformers.logging.set_verbosity_error()
    config = getattr(transformers, entry.config)(**entry.settings, attn_implementation=attention)
    torch.manual_seed(seed)
    model = getattr(transformers, entry.model)(config)
    stir_(model)
    example = tree_map_only(
        Tensor, lambda each: each.double() if each.is_floating_point() else each, entry.inputs()
    )
    return model.double().eval(), example


def equal(model: nn.Module, other: nn.Module, example: Any) -> bool:
    with torch.no_grad():
        pairs = zip(leaves(run(model, example)), leaves(run(other, example)), strict=True)
        return all(torch.equal(one, two) for one, two in pairs)


def check(units, sparsities):
    """Cut each group by itself to some sparsities, and all of them at once by half."""
    generator = torch.Generator().manual_seed(0)
    masks = [
        random_mask(units, group, 1 - sparsity, generator)
        for group in units.removable()
        for sparsity in sparsities
    ]
    values = {g.name: torch.rand(g.size, generator=generator) for g in units.removable()}
    for mask in (*masks, keep(Scores(values, "units", units), 0.5)):
        smaller, edits = cut(units.model, mask)
        assert edits.steps[0].difference <= 1e-10
        again = copied(units.model)
        replay_(again, edits)
        assert equal(again, smaller, units.example)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_heads_neurons_and_features_are_cut_exactly(name, attention):
    model, example = build(MAIN[name], attention)
    units = find_units(model, example)
    assert Counter(group.kind for group in units.removable()) == MAIN[name].removable
    check(units, (0.1, 0.5, 0.9))


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_are_cut_exactly(name):
    model, example = build(OTHERS[name])
    units = find_units(model, example)
    assert Counter(group.kind for group in units.removable()) == OTHERS[name].removable
    assert all(len(group.protected) > 10 for group in units if group.protected is not None)
    check(units, (0.5,) if len(units) < 15 else ())


@pytest.mark.parametrize("name", MAIN)
def test_a_cut_model_is_saved_loaded_and_cut_again(name, tmp_path):
    model, example = build(MAIN[name], "sdpa")
    first = find_units(model, example)
    values = {g.name: torch.rand(g.size) for g in first.removable()}
    smaller, edits = cut(model, keep(Scores(values, "units", first), 0.25))
    second = find_units(smaller, example)
    values = {g.name: torch.rand(g.size) for g in second.removable()}
    smallest, more = cut(smaller, keep(Scores(values, "units", second), 0.5))
    save(tmp_path / "cut.safetensors", smallest, edits + more)
    fresh, _ = build(MAIN[name], "sdpa", seed=1)
    assert equal(load(tmp_path / "cut.safetensors", into=fresh), smallest, example)


@pytest.mark.parametrize("name", MAIN)
def test_training_goes_on_as_if_it_had_been_masked(name):
    """Heads and neurons only: features share the statistics of a normalisation, of which masking leaves them a part."""
    model, example = build(MAIN[name])
    model.train()
    units = find_units(model, example)
    names = [g.name for g in units.removable() if g.coupled is None]
    assert len(names) >= 4
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    steps(model, optimizer, example)
    mask = keep(Scores({n: torch.rand(units[n].size) for n in names}, "units", units), 0.5)
    twin, twins = copy.deepcopy((model, optimizer))
    enforce_(twin, mask)
    cut_(model, mask, optimizer)
    found, expected = steps(model, optimizer, example), steps(twin, twins, example, mask)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found[0] != found[-1]


def steps(model: nn.Module, optimizer, example, mask: Mask | None = None) -> list[float]:
    losses = []
    for _ in range(3):
        output = leaves(run(model, example))[0]
        target = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
        loss = F.mse_loss(output, target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if mask is not None:
            enforce_(model, mask)
        losses.append(float(loss.detach()))
    return losses


def test_integers_of_the_code_follow():
    """GPT-2 divides its fused queries, keys and values by an integer of its own."""
    model, example = build(MAIN["gpt2"])
    mask = Mask.full(find_units(model, example))
    mask.kept["transformer.h.0.attn.c_attn"][1] = False
    smaller, _ = cut(model, mask)
    assert [layer.attn.split_size for layer in smaller.transformer.h] == [12, 16]
    assert [layer.attn.c_attn.weight.shape[1] for layer in smaller.transformer.h] == [36, 48]


def test_a_cut_model_still_generates():
    model, example = build(MAIN["llama"])
    units = find_units(model, example)
    values = {g.name: torch.rand(g.size) for g in units.removable()}
    smaller, _ = cut(model, keep(Scores(values, "units", units), 0.5))
    settings = dict(max_new_tokens=4, min_new_tokens=4, do_sample=False)
    with_cache = smaller.generate(**example, **settings, use_cache=True)
    assert with_cache.shape == (2, 10)
    assert torch.equal(with_cache, smaller.generate(**example, **settings, use_cache=False))
