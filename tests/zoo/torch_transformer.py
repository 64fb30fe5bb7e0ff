"""Torch's own attention: nn.MultiheadAttention, nn.TransformerEncoder and nn.Transformer."""

import torch
from torch import Tensor, nn

from zoo import register


class AttentionBlock(nn.Module):
    def __init__(self, embed_dim: int = 16, num_heads: int = 4, num_classes: int = 5):
        super().__init__()
        self.inp = nn.Linear(6, embed_dim)
        self.layer_norm_1 = nn.LayerNorm(embed_dim)
        self.attn = nn.MultiheadAttention(embed_dim, num_heads, dropout=0.1, batch_first=True)
        self.layer_norm_2 = nn.LayerNorm(embed_dim)
        self.linear = nn.Sequential(
            nn.Linear(embed_dim, 24), nn.GELU(), nn.Dropout(0.1), nn.Linear(24, embed_dim)
        )
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        inp_x = self.layer_norm_1(x)
        x = x + self.attn(inp_x, inp_x, inp_x, need_weights=False)[0]
        x = x + self.linear(self.layer_norm_2(x))
        return self.head(x.mean(1))


class CrossAttention(nn.Module):
    """Keys and values of another width, sequence first, with the attention map returned."""

    def __init__(self, embed_dim: int = 12, num_heads: int = 3):
        super().__init__()
        self.attn = nn.MultiheadAttention(embed_dim, num_heads, kdim=8, vdim=8)
        self.norm = nn.LayerNorm(embed_dim)
        self.out = nn.Linear(embed_dim, 4)

    def forward(self, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        attended, weights = self.attn(query, memory, memory)
        return self.out(self.norm(query + attended)), weights


class EncoderClassifier(nn.Module):
    def __init__(self, vocab=20, d_model=16, nhead=4, norm_first=False, num_classes=5):
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_model)
        self.position = nn.Parameter(torch.zeros(1, 8, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, 24, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.fc = nn.Linear(d_model, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position[:, : tokens.size(1)]
        x = self.encoder(x)
        return self.fc(x.mean(dim=1))


class Seq2SeqTransformer(nn.Module):
    def __init__(self, src_vocab: int = 20, tgt_vocab: int = 18, emb_size: int = 16):
        super().__init__()
        self.transformer = nn.Transformer(
            d_model=emb_size,
            nhead=4,
            num_encoder_layers=1,
            num_decoder_layers=1,
            dim_feedforward=24,
            batch_first=True,
        )
        self.src_tok_emb = nn.Embedding(src_vocab, emb_size)
        self.tgt_tok_emb = nn.Embedding(tgt_vocab, emb_size)
        self.generator = nn.Linear(emb_size, tgt_vocab)

    def forward(self, src: Tensor, trg: Tensor) -> Tensor:
        src_emb = self.src_tok_emb(src)
        tgt_emb = self.tgt_tok_emb(trg)
        mask = nn.Transformer.generate_square_subsequent_mask(trg.size(1), dtype=src_emb.dtype)
        outs = self.transformer(src_emb, tgt_emb, tgt_mask=mask)
        return self.generator(outs)


@register("multihead_attention")
def multihead_attention():
    return AttentionBlock(), torch.randn(2, 5, 6)


@register("multihead_cross_attention")
def multihead_cross_attention():
    return CrossAttention(), (torch.randn(5, 2, 12), torch.randn(7, 2, 8))


@register("transformer_encoder")
def transformer_encoder():
    return EncoderClassifier(), torch.randint(0, 20, (2, 6))


@register("transformer_encoder_prenorm")
def transformer_encoder_prenorm():
    return EncoderClassifier(norm_first=True), torch.randint(0, 20, (2, 6))


@register("nn_transformer")
def nn_transformer():
    return Seq2SeqTransformer(), (torch.randint(0, 20, (2, 7)), torch.randint(0, 18, (2, 5)))
