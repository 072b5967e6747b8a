"""A repo of realistic shape, of any size, from nothing but a seed."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path

from hfdl_async.core.model import KIB, MB
from hfdl_async.serving.content import BytesContent, Content, GeneratedContent, JoinedContent
from hfdl_async.serving.repos import HostedRepo

DEFAULT_REPO_ID = "loopback/demo-model"
DEFAULT_SIZE_BYTES = 600 * MB
SHARD_BYTES = 150 * MB
MAX_SHARDS = 32
HIDDEN_SIZE = 1024
VOCABULARY = 32_000
_ROW_BYTES = HIDDEN_SIZE * 2  # bfloat16
_TENSORS = (
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.o_proj.weight",
    "mlp.gate_proj.weight",
    "mlp.up_proj.weight",
    "mlp.down_proj.weight",
)


def model_files(
    size_bytes: int = DEFAULT_SIZE_BYTES, *, seed: int = 0, repo_id: str = DEFAULT_REPO_ID
) -> dict[str, Content]:
    """Return the files of a language model of about *size_bytes*; the same for the same seed."""
    small = _small_files(seed, repo_id)
    left = max(_ROW_BYTES, size_bytes - sum(len(data) for data in small.values()))
    count = min(MAX_SHARDS, max(2, round(left / SHARD_BYTES)))
    files: dict[str, Content] = {path: BytesContent(data) for path, data in small.items()}
    weights: dict[str, str] = {}
    for number in range(count):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        tensors = [f"model.layers.{number}.{part}" for part in _TENSORS]
        files[name] = _shard(tensors, left // count, f"{seed}/{name}")
        weights |= dict.fromkeys(tensors, name)
    total = sum(files[name].size for name in set(weights.values()))
    index = {"metadata": {"total_size": total}, "weight_map": weights}
    files["model.safetensors.index.json"] = BytesContent(_json(index))
    return files


def model_repo(
    size_bytes: int = DEFAULT_SIZE_BYTES, *, seed: int = 0, repo_id: str = DEFAULT_REPO_ID
) -> HostedRepo:
    """Return a hosted repo of `model_files`; computing its digests reads everything once."""
    return HostedRepo.from_files(repo_id, model_files(size_bytes, seed=seed, repo_id=repo_id))


def many_small_files(
    count: int, *, seed: int = 0, low_bytes: int = 1 * KIB, high_bytes: int = 64 * KIB
) -> dict[str, Content]:
    """Return *count* files of random sizes in folders of a hundred."""
    dice = random.Random(seed)
    return {
        f"part-{number // 100:03}/sample-{number:05}.json": BytesContent(
            dice.randbytes(dice.randint(low_bytes, high_bytes))
        )
        for number in range(count)
    }


def write_folder(files: Mapping[str, Content], folder: Path) -> None:
    """Write *files* below *folder*, for servers that serve folders.

    Raises:
        OSError: a file cannot be written.
    """
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for piece in content.blocking_pieces():
                file.write(piece)


def _shard(tensors: list[str], size_bytes: int, seed: str) -> Content:
    """Return a well-formed safetensors file: header length, JSON header, data."""
    rows = max(1, size_bytes // _ROW_BYTES // len(tensors))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for place, name in enumerate(tensors):
        start = place * rows * _ROW_BYTES
        header[name] = {
            "dtype": "BF16",
            "shape": [rows, HIDDEN_SIZE],
            "data_offsets": [start, start + rows * _ROW_BYTES],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns its data to eight bytes
    data = GeneratedContent(seed, len(tensors) * rows * _ROW_BYTES)
    return JoinedContent(struct.pack("<Q", len(text)) + text, data)


def _small_files(seed: int, repo_id: str) -> dict[str, bytes]:
    words = _words(seed)
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = [f"{word[:-1]} {word[-1]}" for word in words if len(word) > 1]
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return {
        ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
        "README.md": _card(repo_id).encode(),
        "LICENSE": b"MIT License\n\nThese weights are noise. Do with them what you like.\n",
        "config.json": _json(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": HIDDEN_SIZE,
                "intermediate_size": 4 * HIDDEN_SIZE,
                "num_attention_heads": 16,
                "torch_dtype": "bfloat16",
                "vocab_size": VOCABULARY,
            }
        ),
        "generation_config.json": _json({"max_new_tokens": 256, "temperature": 0.7}),
        "special_tokens_map.json": _json(special),
        "tokenizer_config.json": _json({**special, "tokenizer_class": "LlamaTokenizerFast"}),
        "tokenizer.json": _json(
            {"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": merges}}
        ),
        "vocab.json": _json(vocabulary),
        "merges.txt": ("#version: 0.2\n" + "\n".join(merges) + "\n").encode(),
        "original/params.json": _json({"dim": HIDDEN_SIZE, "n_heads": 16, "norm_eps": 1e-05}),
    }


def _words(seed: int) -> list[str]:
    dice = random.Random(seed)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
    words: dict[str, None] = dict.fromkeys(("<unk>", "<s>", "</s>"))
    while len(words) < VOCABULARY:
        words["".join(dice.choices(syllables, k=dice.randint(1, 5)))] = None
    return list(words)


def _card(repo_id: str) -> str:
    return (
        "---\nlicense: mit\nlibrary_name: transformers\ntags:\n- demo\n---\n"
        f"# {repo_id}\n\nThe shape of a language model, filled with noise, made on this machine.\n"
    )


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
