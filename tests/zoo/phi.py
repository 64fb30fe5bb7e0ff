"""Phi-3: qkv and gate-up each fused in one projection; key heads repeated by interleaving."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class Phi3MLP(nn.Module):
    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.gate_up_proj = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.activation_fn = nn.SiLU()

    def forward(self, hidden_states: Tensor) -> Tensor:
        up_states = self.gate_up_proj(hidden_states)
        gate, up_states = up_states.chunk(2, dim=-1)
        up_states = up_states * self.activation_fn(gate)
        return self.down_proj(up_states)


class Phi3Attention(nn.Module):
    def __init__(self, hidden_size: int, num_heads: int, num_key_value_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = hidden_size // num_heads
        op_size = num_heads * self.head_dim + 2 * (num_key_value_heads * self.head_dim)
        self.qkv_proj = nn.Linear(hidden_size, op_size, bias=False)
        self.o_proj = nn.Linear(num_heads * self.head_dim, hidden_size, bias=False)
        self.q_norm = nn.RMSNorm(self.head_dim)
        self.k_norm = nn.RMSNorm(self.head_dim)

    def forward(self, hidden_states: Tensor) -> Tensor:
        bsz, q_len, _ = hidden_states.size()
        qkv = self.qkv_proj(hidden_states)
        query_pos = self.num_heads * self.head_dim
        kv_size = self.num_key_value_heads * self.head_dim
        query_states = qkv[..., :query_pos]
        key_states = qkv[..., query_pos : query_pos + kv_size]
        value_states = qkv[..., query_pos + kv_size :]
        query_states = query_states.view(bsz, q_len, self.num_heads, self.head_dim)
        key_states = key_states.view(bsz, q_len, self.num_key_value_heads, self.head_dim)
        value_states = value_states.view(bsz, q_len, self.num_key_value_heads, self.head_dim)
        query_states = self.q_norm(query_states).transpose(1, 2)
        key_states = self.k_norm(key_states).transpose(1, 2)
        groups = self.num_heads // self.num_key_value_heads
        key_states = torch.repeat_interleave(key_states, repeats=groups, dim=1)
        value_states = value_states.transpose(1, 2).repeat_interleave(groups, dim=1)
        attn_output = F.scaled_dot_product_attention(
            query_states, key_states, value_states, is_causal=True
        )
        attn_output = attn_output.transpose(1, 2).reshape(bsz, q_len, -1)
        return self.o_proj(attn_output)


class Phi3DecoderLayer(nn.Module):
    def __init__(self, hidden_size: int, num_heads: int, num_key_value_heads: int):
        super().__init__()
        self.self_attn = Phi3Attention(hidden_size, num_heads, num_key_value_heads)
        self.mlp = Phi3MLP(hidden_size, 24)
        self.input_layernorm = nn.RMSNorm(hidden_size)
        self.post_attention_layernorm = nn.RMSNorm(hidden_size)
        self.resid_dropout = nn.Dropout(0.1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        attn_outputs = self.self_attn(self.input_layernorm(hidden_states))
        hidden_states = hidden_states + self.resid_dropout(attn_outputs)
        outputs = self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states + self.resid_dropout(outputs)


@register("phi_fused_gqa")
def phi_fused_gqa():
    model = nn.Sequential(
        nn.Embedding(20, 16),
        Phi3DecoderLayer(16, 4, 2),
        Phi3DecoderLayer(16, 4, 1),
        nn.RMSNorm(16),
        nn.Linear(16, 20, bias=False),
    )
    return model, torch.randint(0, 20, (2, 6))
