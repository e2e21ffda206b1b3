"""Attention of a few new tokens over the cache: the fused kernel on an accelerator, three matrix operations on a CPU."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """[heads, tokens, d], [kv_heads, context, d] twice -> [tokens, heads * d]: softmax(scale * queries keys + mask) values.

    `mask` is [tokens, context], [heads, tokens, context] or None. Consecutive heads share a key/value head where there are
    fewer of these (grouped-query attention).
    """
    attend = _matrix_attention if queries.device.type == "cpu" else _fused_attention
    return attend(queries, keys, values, mask, scale).transpose(0, 1).reshape(queries.shape[1], -1)


def _fused_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """[heads, tokens, d]."""
    grouped = len(keys) != len(queries)
    batch = (queries.unsqueeze(0), keys.unsqueeze(0), values.unsqueeze(0))
    return F.scaled_dot_product_attention(*batch, attn_mask=mask, scale=scale, enable_gqa=grouped)[0]


def _matrix_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """[heads, tokens, d]. torch's CPU kernel is made for long inputs: one to twenty tokens take half to nine tenths of its time here."""
    heads, tokens, width = queries.shape
    group = heads // len(keys)
    if group > 1:
        queries = queries.reshape(len(keys), group * tokens, width)
        mask = _by_group(mask, len(keys), group)
    if mask is None:
        scores = torch.baddbmm(_unread(queries.dtype), queries, keys.transpose(1, 2), beta=0.0, alpha=scale)
    else:
        scores = torch.baddbmm(mask, queries, keys.transpose(1, 2), alpha=scale)
    attended = torch.bmm(scores.softmax(-1), values)
    return attended.view(heads, tokens, width) if group > 1 else attended


@cache
def _unread(dtype: torch.dtype) -> Tensor:
    """Stands for the mask where there is none, at a weight of 0. Made once: making one for each token takes a tenth of its attention."""
    with torch.inference_mode(False):
        return torch.empty(1, dtype=dtype)


def _by_group(mask: Tensor | None, kv_heads: int, group: int) -> Tensor | None:
    """The mask as the heads of a group see it, one below the other."""
    if mask is None:
        return None
    return mask.repeat(group, 1) if mask.dim() == 2 else mask.reshape(kv_heads, -1, mask.shape[-1])
