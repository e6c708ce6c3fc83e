"""Public architectures at small sizes with drawn weights, written as their libraries write them."""

from __future__ import annotations

import io
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

WORDS, LENGTH, WIDTH, HEADS = 60, 10, 32, 4


class RootMeanSquareNorm(nn.Module):
    """LlamaRMSNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalised rows."""
        hidden = hidden.to(torch.float32)
        variance = hidden.pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden * torch.rsqrt(variance + 1e-6))


def turned(states: Tensor) -> Tensor:
    """rotate_half: the second half with its sign changed, then the first."""
    half = states.shape[-1] // 2
    return torch.cat((-states[..., half:], states[..., :half]), dim=-1)


class LlamaAttention(nn.Module):
    """Causal attention with rotary embedding at constant positions."""

    cosines: Tensor
    sines: Tensor
    hidden: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
        )
        size = WIDTH // HEADS
        rates = 1.0 / 10000 ** (torch.arange(0, size, 2).float() / size)
        angles = torch.outer(torch.arange(LENGTH).float(), rates)
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cosines", angles.cos()[None, None])
        self.register_buffer("sines", angles.sin()[None, None])
        later = torch.full((LENGTH, LENGTH), torch.finfo(torch.float32).min).triu(1)
        self.register_buffer("hidden", later[None, None])

    def forward(self, states: Tensor) -> Tensor:
        """One layer of attention."""
        batch, length, _ = states.shape
        query, key, value = (
            layer(states).view(batch, length, HEADS, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        query = query * self.cosines + turned(query) * self.sines
        key = key * self.cosines + turned(key) * self.sines
        scores = torch.matmul(query, key.transpose(2, 3)) / math.sqrt(WIDTH // HEADS)
        shares = functional.softmax(scores + self.hidden, dim=-1)
        mixed = torch.matmul(shares, value).transpose(1, 2).reshape(batch, length, WIDTH)
        return self.out(mixed)


class Llama(nn.Module):
    """One block: RMSNorm, attention, RMSNorm, SiLU gate, RMSNorm, logits."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.norms = nn.ModuleList(RootMeanSquareNorm(WIDTH) for _ in range(3))
        self.attention = LlamaAttention()
        self.gate, self.up = (nn.Linear(WIDTH, 2 * WIDTH, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next word, [1, length, words]."""
        hidden = self.words(ids)
        hidden = hidden + self.attention(self.norms[0](hidden))
        normal = self.norms[1](hidden)
        hidden = hidden + self.down(functional.silu(self.gate(normal)) * self.up(normal))
        return self.head(self.norms[2](hidden))


class BertLayer(nn.Module):
    """One layer of a HuggingFace BERT."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def split(self, states: Tensor) -> Tensor:
        """transpose_for_scores."""
        shape = (*states.size()[:-1], HEADS, WIDTH // HEADS)
        return states.view(shape).permute(0, 2, 1, 3)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """BertSelfAttention or BertSdpaSelfAttention, then BertIntermediate and BertOutput."""
        query, key, value = (
            self.split(layer(hidden)) for layer in (self.query, self.key, self.value)
        )
        if self.fused:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(WIDTH // HEADS)
            mixed = torch.matmul(functional.softmax(scores + mask, dim=-1), value)
        mixed = mixed.permute(0, 2, 1, 3).contiguous().view(*hidden.size())
        hidden = self.first(self.out(mixed) + hidden)
        return self.second(self.down(functional.gelu(self.up(hidden))) + hidden)


class Bert(nn.Module):
    """Two layers, the pooler and a classifier; `masking` is how the mask is written."""

    places: Tensor

    def __init__(self, masking: str = "eager") -> None:
        super().__init__()
        self.masking = masking
        self.words, self.kinds = nn.Embedding(WORDS, WIDTH), nn.Embedding(2, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(BertLayer(fused=masking != "eager") for _ in range(2))
        self.pooler, self.classifier = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.register_buffer("places", torch.arange(LENGTH)[None])

    def mask(self, attention_mask: Tensor) -> Tensor:
        """What is added to the scores, or, for SDPA, where a score counts."""
        least = torch.finfo(torch.float32).min
        batch, length = attention_mask.shape
        whole = attention_mask[:, None, None, :].expand(batch, 1, length, length)
        match self.masking:
            case "eager":
                return (1.0 - attention_mask[:, None, None, :].float()) * least
            case "sdpa":
                inverted = 1.0 - whole.to(torch.float32)
                return inverted.masked_fill(inverted.to(torch.bool), least)
            case _:
                return whole.to(torch.bool)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Logits [1, 3]."""
        hidden = self.words(input_ids) + self.kinds(token_type_ids) + self.positions(self.places)
        hidden = self.norm(hidden)
        for layer in self.layers:
            hidden = layer(hidden, self.mask(attention_mask))
        return self.classifier(torch.tanh(self.pooler(hidden[:, 0])))


class PaddedBert(Bert):
    """A BERT that works its mask out from the ids."""

    def forward(self, input_ids: Tensor) -> Tensor:  # type: ignore[override]
        """Logits [1, 3]."""
        return super().forward(input_ids, (input_ids != 0).long(), torch.zeros_like(input_ids))


class InvertedResidual(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        wide = channels * 3
        self.stride = stride
        self.conv = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """With the skip where the size stays."""
        return images + self.conv(images) if self.stride == 1 else self.conv(images)


def mobile_net() -> nn.Module:
    """A stem, three inverted residuals, the pool and the classifier of MobileNetV2."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        InvertedResidual(8, 1), InvertedResidual(8, 2), InvertedResidual(8, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 5),
    )  # fmt: skip


class BasicBlock(nn.Module):
    """ResNet's block, with a convolution in the skip where the size changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(2))
        self.skip: nn.Module = nn.Identity()
        if stride != 1:
            self.skip = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Two convolutions around which the input is added."""
        made = functional.relu(self.norms[0](self.first(images)))
        return functional.relu(self.norms[1](self.second(made)) + self.skip(images))


def res_net() -> nn.Module:
    """The stem with its padded pool, two basic blocks, pool and classifier of a ResNet."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.MaxPool2d(3, 2, 1), BasicBlock(8, 8, 1), BasicBlock(8, 12, 2),
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1), nn.Linear(12, 5),
    )  # fmt: skip


class ConvNextBlock(nn.Module):
    """ConvNeXt's block: depthwise 7x7, LayerNorm over channels, GELU, layer scale, skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Channels last inside, first outside."""
        made = self.norm(self.deep(images).permute(0, 2, 3, 1))
        made = self.scale * self.down(functional.gelu(self.up(made)))
        return images + made.permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    """ConvNeXt's LayerNorm of channels first, written out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.rand(channels)),
            nn.Parameter(torch.rand(channels)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Every place normalised over its channels."""
        mean = images.mean(1, keepdim=True)
        variance = (images - mean).pow(2).mean(1, keepdim=True)
        images = (images - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * images + self.bias[:, None, None]


def conv_next() -> nn.Module:
    """Stem, block, downsampling, block, norm and head of a ConvNeXt."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, 2), ChannelNorm(8), ConvNextBlock(8),
        ChannelNorm(8), nn.Conv2d(8, 12, 2, 2), ConvNextBlock(12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.LayerNorm(12), nn.Linear(12, 5),
    )  # fmt: skip


def twice(before: int, after: int) -> nn.Module:
    """Two convolutions with batch norm and Relu."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Two levels down and up with skips that are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = twice(3, 6), twice(6, 8), twice(8, 10)
        self.fourth, self.fifth = twice(18, 8), twice(14, 6)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """A map of two channels as large as the image."""
        first = self.first(images)
        second = self.second(functional.max_pool2d(first, 2))
        third = self.third(functional.max_pool2d(second, 2))
        up = functional.interpolate(third, scale_factor=2, mode="nearest")
        up = self.fourth(torch.cat((up, second), dim=1))
        up = functional.interpolate(up, size=first.shape[2:], mode="nearest")
        return self.last(self.fifth(torch.cat((up, first), dim=1)))


def exported(model: nn.Module, examples: tuple[Tensor, ...], names: list[str]) -> bytes:
    """The ONNX file as torch's exporter writes it, its batch norms settled to seen statistics."""
    buffer = io.BytesIO()
    torch.onnx.export(
        model.eval(), examples, buffer, input_names=names, output_names=["y"],
        opset_version=17, dynamo=False,
    )  # fmt: skip
    return buffer.getvalue()
