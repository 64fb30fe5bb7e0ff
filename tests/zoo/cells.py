"""Recurrence in a Python loop: LSTMCell, GRUCell, and a cell written out by hand."""

import torch
from torch import Tensor, nn

from zoo import register


class LSTMCellNet(nn.Module):
    def __init__(self, input_size: int = 5, hidden_size: int = 12, output_size: int = 3):
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm1 = nn.LSTMCell(input_size, hidden_size)
        self.lstm2 = nn.LSTMCell(hidden_size, hidden_size)
        self.linear = nn.Linear(hidden_size, output_size)

    def forward(self, input: Tensor) -> Tensor:
        outputs = []
        n = input.size(0)
        h_t = torch.zeros(n, self.hidden_size, dtype=input.dtype, device=input.device)
        c_t = torch.zeros(n, self.hidden_size, dtype=input.dtype, device=input.device)
        h_t2, c_t2 = h_t.clone(), c_t.clone()
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t.squeeze(1), (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            outputs += [self.linear(h_t2)]
        return torch.stack(outputs, dim=1)


class GRUCellNet(nn.Module):
    def __init__(self, input_size: int = 5, hidden_size: int = 12, output_size: int = 3):
        super().__init__()
        self.inp = nn.Linear(input_size, 8)
        self.cell = nn.GRUCell(8, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        hx = None
        for t in range(x.shape[1]):
            hx = self.cell(torch.relu(self.inp(x[:, t])), hx)
        return self.out(hx)


class ElmanRNN(nn.Module):
    """The cell of torch's name-classification tutorial."""

    def __init__(self, input_size: int = 5, hidden_size: int = 12, output_size: int = 3):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.new_zeros(x.size(0), self.hidden_size)
        for step in x.unbind(1):
            hidden = torch.tanh(self.i2h(torch.cat((step, hidden), 1)))
        return self.h2o(hidden)


@register("lstm_cell")
def lstm_cell():
    return LSTMCellNet(), torch.randn(2, 5, 5)


@register("gru_cell")
def gru_cell():
    return GRUCellNet(), torch.randn(2, 5, 5)


@register("elman_rnn")
def elman_rnn():
    return ElmanRNN(), torch.randn(2, 5, 5)
