from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from hfdl_async.core.model import KIB, MB
from hfdl_async.serving.content import read_all
from hfdl_async.serving.generate import many_small_files, model_files, model_repo, write_folder

SIZE = 20 * MB


@pytest.mark.parametrize("size", [SIZE, 600 * MB, 3_000 * MB])
def test_the_model_has_about_the_size_that_was_asked_for(size: int) -> None:
    files = model_files(size)
    assert sum(content.size for content in files.values()) == pytest.approx(size, rel=0.01)
    assert len([name for name in files if name.endswith(".safetensors")]) == max(
        2, size // 150 // MB
    )


def test_the_index_names_every_shard_and_no_other() -> None:
    files = model_files(SIZE)
    index = json.loads(read_all(files["model.safetensors.index.json"]))
    shards = {name for name in files if name.endswith(".safetensors")}
    assert set(index["weight_map"].values()) == shards
    assert index["metadata"]["total_size"] == sum(files[name].size for name in shards)


def test_shards_are_well_formed() -> None:
    data = read_all(model_files(SIZE)["model-00001-of-00002.safetensors"])
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    ends = [tensor["data_offsets"][1] for tensor in header.values()]
    assert max(ends) == len(data) - 8 - length
    assert length % 8 == 0


def test_the_same_seed_gives_the_same_commit_and_another_another() -> None:
    one, same, other = (model_repo(SIZE, seed=seed).refs for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_small_files_are_small_and_written_as_they_are(tmp_path: Path) -> None:
    files = many_small_files(150)
    assert len({path.partition("/")[0] for path in files}) == 2
    assert all(KIB <= content.size <= 64 * KIB for content in files.values())
    write_folder(files, tmp_path)
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*.json")
    }
    assert written == {path: read_all(content) for path, content in files.items()}
