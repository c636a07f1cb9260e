"""Architectures as people use them, small enough for a dense Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from oracles import randn, seeded

# -- convolutional --------------------------------------------------------------------


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.relu, self.downsample = nn.ReLU(inplace=True), None
        if stride != 1 or inner != outer:
            shortcut = nn.Conv2d(inner, outer, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outer))

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += beside
        return self.relu(out)


class ResNet(nn.Sequential):
    """ResNet-18 by default; ``width`` of the first stage, ``blocks`` of each, the width doubling."""

    def __init__(
        self, width: int = 64, blocks: Sequence[int] = (2, 2, 2, 2), classes: int = 1000, channels: int = 3
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        inner = width
        for stage, count in enumerate(blocks):
            outer = width << stage
            for block in range(count):
                layers.append(BasicBlock(inner, outer, stride=2 if stage and not block else 1))
                inner = outer
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, classes))


# -- sequences --------------------------------------------------------------------


class Recurrent(nn.Module):
    """A bidirectional LSTM over sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.LSTM(2, 2, num_layers=2, bidirectional=True, dropout=0.3, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.core(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.head(out.sum(dim=1) / lengths[:, None])


class Encoder(nn.Module):
    """torch's own layers, with padding."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            4, 2, 6, dropout=0.2, activation="gelu", batch_first=True, norm_first=norm_first
        )
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=not norm_first)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        padding = torch.arange(x.shape[1]) >= lengths[:, None]
        return self.head(self.body(x, src_key_padding_mask=padding).mean(dim=1))


class Decoder(nn.Module):
    """Root-mean-square norms, fused attention, gated units and a tied embedding, written by hand.

    ``attend`` : what to hand to ``scaled_dot_product_attention``; "bias" is learned.
    """

    def __init__(self, attend: str) -> None:
        super().__init__()
        self.attend, kv = attend, 2 if attend == "grouped" else 4
        self.embedding, self.out = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.norm1, self.norm2 = nn.RMSNorm(4, eps=1e-5), nn.RMSNorm(4, eps=1e-5)
        self.query, self.key_value = nn.Linear(4, 4), nn.Linear(4, 2 * kv)
        self.gate, self.up, self.down = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 4)
        if attend == "bias":
            self.bias = nn.Parameter(torch.zeros(2, 5, 5))
        self.out.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        def heads(z: Tensor) -> Tensor:
            return z.unflatten(-1, (-1, 2)).transpose(1, 2)

        x = self.embedding(tokens)
        h = self.norm1(x)
        key, value = map(heads, self.key_value(h).chunk(2, dim=-1))
        near = torch.arange(5)[:, None] - torch.arange(5) < 2
        options: dict[str, Any] = {
            "causal": {"is_causal": True},
            "window": {"attn_mask": near.triu(-1) | torch.eye(5, dtype=torch.bool)},
            "bias": {"attn_mask": getattr(self, "bias", None)},
            "grouped": {"is_causal": True, "enable_gqa": True},
        }[self.attend]
        mixed = F.scaled_dot_product_attention(heads(self.query(h)), key, value, dropout_p=0.0, **options)
        x = x + mixed.transpose(1, 2).flatten(2)
        h = self.norm2(x)
        return self.out(x + self.down(F.silu(self.gate(h)) * self.up(h)))


QUIET: dict[str, Any] = {
    "bos_token_id": None,
    "eos_token_id": None,
}  # those of the defaults are too large here


def gpt2() -> nn.Module:
    """The output layer is the embedding, as its users know it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=7, n_positions=5, n_embd=4, n_head=2, n_layer=1, n_inner=6, **QUIET)
    )


def llama() -> nn.Module:
    """Two queries to each key."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=7,
            hidden_size=4,
            intermediate_size=5,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=5,
            **QUIET,
        )
    )


def qwen3() -> nn.Module:
    """Norms on queries and keys, plain attention, a tied embedding."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=7,
            hidden_size=4,
            intermediate_size=5,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
            max_position_embeddings=5,
            tie_word_embeddings=True,
            attn_implementation="eager",
            **QUIET,
        )
    )


# -- model, loss and data --------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    make: Callable[[], nn.Module]
    step: Callable[[nn.Module, Any], Tensor]
    whole: dict[str, Tensor]  # all examples
    norm_stats: str = "running"

    def model(self, seed: int = 0) -> nn.Module:
        """In float64 and training mode, away from the start of training, where much of H vanishes."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.make().double().train()
            with torch.no_grad():
                for p in model.parameters():
                    p += 0.3 * torch.randn_like(p)
                for m in model.modules():
                    if isinstance(m, nn.Embedding):  # a norm of short vectors would amplify their rounding
                        m.weight.normal_()
                    if isinstance(m, nn.BatchNorm2d):
                        m.running_mean.normal_()
                        m.running_var.uniform_(0.5, 2.0)
        return model

    def batches(self, size: int) -> list[dict[str, Tensor]]:
        count = len(next(iter(self.whole.values())))
        return [{k: t[i : i + size] for k, t in self.whole.items()} for i in range(0, count, size)]


def classify(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    inputs = [t for name, t in batch.items() if name != "labels"]
    return F.cross_entropy(model(*inputs), batch["labels"])


def next_token(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    tokens = batch["input_ids"]
    return F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def own_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return model(**batch).loss


LABELS = torch.arange(6) % 3
LENGTHS = torch.tensor([4, 2, 3, 4, 1, 4])
TOKENS = torch.randint(7, (6, 5), generator=seeded(1))
PRESENT = torch.arange(5) < torch.tensor([5, 3, 4, 5, 2, 5])[:, None]
IMAGES = {"x": randn(6, 1, 12, 12), "labels": LABELS}
SEQUENCES = {"x": randn(6, 4, 2), "lengths": LENGTHS, "labels": LABELS}
VECTORS = {"x": randn(6, 4, 4), "lengths": LENGTHS, "labels": LABELS}
TEXT = {"input_ids": TOKENS, "labels": TOKENS}
PADDED = {
    "input_ids": TOKENS,
    "attention_mask": PRESENT.long(),
    "labels": TOKENS.masked_fill(~PRESENT, -100),
}
PADDED_LATE = {"input_ids": TOKENS, "labels": TOKENS.where(torch.arange(30).view(6, 5) < 27, -100)}


def narrow() -> ResNet:
    return ResNet(width=2, blocks=(1, 1), classes=3, channels=1)


SCENES = {
    "ResNet, running": Scene(narrow, classify, IMAGES),
    "ResNet, batch": Scene(narrow, classify, IMAGES, "batch"),
    "LSTM": Scene(Recurrent, classify, SEQUENCES),
    "encoder": Scene(lambda: Encoder(norm_first=False), classify, VECTORS),
    "encoder, norm first": Scene(lambda: Encoder(norm_first=True), classify, VECTORS),
    "decoder, causal": Scene(lambda: Decoder("causal"), next_token, {"input_ids": TOKENS}),
    "decoder, window": Scene(lambda: Decoder("window"), next_token, {"input_ids": TOKENS}),
    "decoder, learned bias": Scene(lambda: Decoder("bias"), next_token, {"input_ids": TOKENS}),
    "decoder, grouped": Scene(lambda: Decoder("grouped"), next_token, {"input_ids": TOKENS}),
    "GPT-2": Scene(gpt2, own_loss, TEXT),
    "GPT-2, padded": Scene(gpt2, own_loss, PADDED),
    "Llama": Scene(llama, own_loss, TEXT),
    "Llama, padded": Scene(llama, own_loss, PADDED),
    "GPT-2, padded late": Scene(gpt2, own_loss, PADDED_LATE),
    "Qwen3": Scene(qwen3, own_loss, TEXT),
}
