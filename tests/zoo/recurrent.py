"""Recurrent layers of torch: GRU, LSTM, bidirectional, stacked."""

import torch
from torch import Tensor, nn

from zoo import register


class GRUClassifier(nn.Module):
    def __init__(self, vocab_size=20, embedding_dim=8, hidden_size=12, num_classes=4):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.gru = nn.GRU(embedding_dim, hidden_size)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, text: Tensor) -> Tensor:
        embedded = self.embedding(text).transpose(0, 1)
        _, hidden = self.gru(embedded)
        return self.fc(hidden.squeeze(0))


class LSTMClassifier(nn.Module):
    def __init__(self, input_size: int = 6, hidden_size: int = 12, num_layers: int = 1):
        super().__init__()
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=0.2 if num_layers > 1 else 0.0,
        )
        self.fc = nn.Linear(hidden_size, 4)

    def forward(self, x: Tensor) -> Tensor:
        h0 = x.new_zeros(self.num_layers, x.size(0), self.hidden_size)
        c0 = x.new_zeros(self.num_layers, x.size(0), self.hidden_size)
        out, _ = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :])


class BiLSTMClassifier(nn.Module):
    """Reads the last hidden state of either direction."""

    def __init__(self, vocab_size=20, embedding_dim=8, hidden_dim=10, output_dim=4):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(hidden_dim * 2, output_dim)
        self.dropout = nn.Dropout(0.5)

    def forward(self, text: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.dropout(self.embedding(text)))
        hidden = self.dropout(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1))
        return self.fc(hidden)


class Tagger(nn.Module):
    """A convolution, a bidirectional LSTM, and a tag for each step."""

    def __init__(self, input_size: int = 5, hidden_size: int = 8, num_tags: int = 4):
        super().__init__()
        self.conv = nn.Conv1d(input_size, 10, 3, padding=1)
        self.lstm = nn.LSTM(10, hidden_size, batch_first=True, bidirectional=True)
        self.hidden2tag = nn.Linear(2 * hidden_size, num_tags)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        out, _ = self.lstm(x)
        return self.hidden2tag(torch.tanh(out))


@register("gru")
def gru():
    return GRUClassifier(), torch.randint(1, 20, (2, 6))


@register("lstm")
def lstm():
    return LSTMClassifier(), torch.randn(2, 6, 6)


@register("lstm_bidirectional")
def lstm_bidirectional():
    return BiLSTMClassifier(), torch.randint(0, 20, (2, 5))


@register("lstm_two_layers")
def lstm_two_layers():
    return LSTMClassifier(num_layers=2), torch.randn(2, 5, 6)


@register("conv_bilstm_tagger")
def conv_bilstm_tagger():
    return Tagger(), torch.randn(2, 6, 5)
