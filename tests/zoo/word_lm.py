"""A recurrent language model whose decoder is tied to its embedding, after torch's example."""

import torch
from torch import Tensor, nn

from zoo import register


class RNNModel(nn.Module):
    def __init__(self, ntoken=20, ninp=12, nhid=12, nlayers=2, dropout=0.2, tie_weights=True):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        self.nhid = nhid
        self.nlayers = nlayers

    def init_hidden(self, bsz: int) -> tuple[Tensor, Tensor]:
        weight = next(self.parameters())
        shape = (self.nlayers, bsz, self.nhid)
        return weight.new_zeros(shape), weight.new_zeros(shape)

    def forward(self, input: Tensor) -> Tensor:
        emb = self.drop(self.encoder(input))
        output, _ = self.rnn(emb, self.init_hidden(input.size(1)))
        output = self.drop(output)
        decoded = self.decoder(output)
        decoded = decoded.view(-1, self.ntoken)
        return torch.log_softmax(decoded, dim=1)


class TiedMLPModel(nn.Module):
    """Bengio's window model, with the output tied."""

    def __init__(self, vocab: int = 20, dim: int = 12, window: int = 4, hidden: int = 16):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.fc1 = nn.Linear(window * dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.lm_head = nn.Linear(dim, vocab, bias=False)
        self.lm_head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens).flatten(1)
        x = self.fc2(torch.tanh(self.fc1(x)))
        return self.lm_head(x)


@register("tied_lstm_lm")
def tied_lstm_lm():
    return RNNModel(), torch.randint(0, 20, (6, 2))


@register("tied_mlp_lm")
def tied_mlp_lm():
    return TiedMLPModel(), torch.randint(0, 20, (2, 4))
