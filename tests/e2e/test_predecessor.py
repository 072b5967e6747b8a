"""Every sentence of the predecessor's README is true of the command or the API, or is in our table.

The table "What differs" in README.md takes that README statement by statement. Here is the other
half: each sentence must be in the table; each statement the table calls true (✓) names the test
that shows it; each one it calls different or later says why. Tests of statements that belong to no
other module follow below.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hfdl_async import HFDownloader, download
from hfdl_async.core.model import MB, MIB, Chunk
from hfdl_async.errors import StorageError, UsageError
from hfdl_async.net.streams import Stream
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.serving.generate import many_small_files
from hfdl_async.testing.faults import Fault, StartHub, Throttle, without_field
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    WEIGHTS,
    check_complete,
    content_requests,
    files_of,
    flip_byte,
    model,
    noise,
    parts_of,
    payload,
    small_disk,
    until,
)

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# In the predecessor's words and order; each stands in the table word for word, but for capitals.
SENTENCES = """
Size-based download strategy (small files first)
Dynamic thread allocation based on speed
Percentage-based speed allocation per thread
Real-time speed statistics
Progress tracking
Verified resume capability
Fallback size retrieval
I/O optimized thread management
Reserved thread for system responsiveness
Network bandwidth control
System load optimization
Per-thread performance tracking
Cross-platform file locking
Works with public repositories without token
Secure token handling for private repos
Automatic token refresh
Clear authentication guidance
Safe token management
Graceful auth failures
Automatic model-specific directory structure
Clean file organization
State persistence with schema validation
Race condition prevention
Hybrid hashing (BLAKE3 for speed, SHA256 for compatibility)
Pre-allocated file space
5% disk space safety buffer
Network saturation prevention
Graceful interruption handling
Clean state management
Python 3.10 or higher
Sufficient disk space for downloads
Network connectivity
Hugging Face token (only for private repositories)
Small files (<200MB by default)
Big files (>200MB by default)
Configurable size threshold
Fallback size retrieval for API issues
Small files downloaded first using all threads
Big files processed after small files complete
Ensures efficient resource utilization
Handles missing file sizes gracefully
Initial speed test for first big file
Minimum 1 MB/s per thread safeguard
Adaptive performance optimization
Thread utilization tracking
Clear status updates
Improved error reporting
Quick completion of small files
Initial single-thread speed test
Minimum speed safeguards (3 MB/s per thread)
Network-aware thread management
Dynamic performance adjustment
Resource monitoring with safety limits
Schema validation for state files
Corruption detection and recovery
Safe state persistence
Clear error reporting
Automatic recovery mechanisms
Configurable refresh intervals
Safe token handling
Clear authentication errors
Graceful token updates
Hybrid hashing (BLAKE3 for large files)
SHA256 compatibility with API
Clear integrity reporting
Let small files download first
Use default thread optimization
Monitor download progress
Handle edge cases gracefully
Adjust file size threshold based on network
Set min-speed-percentage based on stability needs
Allow dynamic thread allocation
Monitor performance metrics
Use appropriate timeouts
Prevents system overload
Maintains responsiveness
Enables safe interruption
Uses cross-platform file locking
Safe to interrupt with Ctrl+C
Progress is saved automatically
Downloads can be resumed safely
State is properly maintained
Built using the Hugging Face Hub API
Fast hashing by BLAKE3
pip install hfdl
""".strip().splitlines()

# These the table says in fewer words: theirs, then ours.
SHORTENED = {
    "A fast, reliable, and safe downloader for Hugging Face models and datasets.":
        "a fast, reliable and safe downloader for models and datasets",
    "This tool provides better performance than git and huggingface_hub":
        "better performance than git and huggingface_hub",
    "while ensuring safe downloads and intelligent resource management.":
        "safe downloads and intelligent resource management",
    "Required packages: requests": "requests, tqdm, portalocker",
    "Required packages: tqdm, portalocker": "requests, tqdm, portalocker",
    "Required packages: huggingface_hub, blake3": "huggingface_hub, blake3",
    "git clone … cd hfdl … pip install -e .": "git clone, cd, pip install -e .",
    "huggingface-cli login … Follow prompts to enter your token":
        "huggingface-cli login; follow prompts to enter your token",
    "hfdl username/model_name": "hfdl username/model_name",
    "Advanced options: hfdl username/model_name -t 8 -d custom_dir …": "the advanced example",
    'downloader = HFDownloader("username/model_name")': 'HFDownloader("username/model_name")',
    "Advanced configuration: HFDownloader(model_id=…)": "the advanced configuration (model_id",
    "`-t, --threads`: Number of download threads (default: auto-detected, I/O optimized)":
        "-t, --threads: number of threads (default: auto-detected, I/O optimized)",
    '`-d, --directory`: Base download directory (default: "downloads")':
        '-d, --directory (default: "downloads")',
    '`-r, --repo_type`: Repository type ("model", "dataset", or "space")': "-r, --repo_type",
    "`--chunk-size`: Download chunk size in bytes": "--chunk-size in bytes",
    "`--min-free-space`: Minimum required free space in MB": "--min-free-space in MB",
    "`--verify`: Verify existing downloads (includes checksum validation)":
        "--verify: verify existing downloads (includes checksum validation)",
    "`--fix-broken`: Remove and redownload corrupted files":
        "--fix-broken: remove and redownload corrupted files",
    "`--force`: Force fresh download, ignore existing files":
        "--force: force fresh download, ignore existing files",
    "`--file-size-threshold`: Size threshold for big files in MB (default: 200)":
        "--file-size-threshold in MB (default: 200)",
    "`--min-speed-percentage`: Target minimum speed per thread as percentage of average speed":
        "--min-speed-percentage",
    "`--speed-test-duration`: Duration of speed test in seconds": "--speed-test-duration",
    "`--speed-check-interval`: Interval for speed checks and rate limiting updates":
        "--speed-check-interval",
    "Per-file progress monitoring": "per-file monitoring",
    "Conservative allocation for low-core systems (1-2 cores: 2-4 threads)": "1-2: 2-4",
    "Balanced allocation for medium systems (3-8 cores: 2x cores)": "3-8: 2x",
    "Scaled allocation for high-core systems (>8 cores: 3x cores, max 32)":
        "more: 3x, at most 32",
    "Each thread gets configurable percentage of total speed": "a configurable share for each",
    "Smart thread scaling based on CPU cores": "smart scaling based on CPU cores",
    "Average speed calculation … Edge case handling":
        "speed testing: initial test, average speed, thread optimization, percentages, edge cases",
    "Dynamic thread count for big files … Each thread gets X% of total speed":
        "thread allocation: dynamic, by test results, X% each, minimums, optimal performance",
    "Active thread monitoring … Overall progress tracking … Better error reporting":
        "active threads, overall progress, clear updates, better errors",
    "Downloads are organized by model name": "downloads organized by model name",
    ".download_state    # Progress tracking": ".download_state beside the files",
    "Allow speed testing for big files": "allow speed testing",
    "Tool manages threads optimally for I/O": "tool manages threads optimally",
    "Contributions are welcome! Please feel free to submit a Pull Request.":
        "contributions are welcome",
    "License: MIT": "MIT",
    "Uses requests for efficient downloads": "uses requests",
    "Progress bars powered by tqdm": "progress bars by tqdm",
    "Cross-platform file locking by portalocker": "locking by portalocker",
}  # fmt: skip

# What shows that a statement of the table is true: words of its first cell, then tests.
HERE = "e2e/test_predecessor.py::"
DAMAGE, KILL, BAD = "e2e/test_damage.py::", "e2e/test_kill.py::", "e2e/test_bad_input.py::"
SMALL_FIRST = f"{HERE}test_small_files_come_first"
PROGRESS = f"{HERE}test_a_terminal_shows_total_rate_and_connections"
RESUME = f"{KILL}test_a_killed_download_goes_on_where_it_was"
SIGNAL = f"{KILL}test_a_signal_saves_what_arrived"
LOCK = "e2e/test_concurrent.py::test_a_second_process_waits_names_the_holder_and_finds_everything"
SECRETS = "e2e/test_secrets.py::test_a_good_run_shows_and_keeps_nothing"
REFUSED = f"{BAD}test_the_hub_refuses"
NO_SIZES = f"{HERE}test_sizes_that_a_listing_lacks_are_found_otherwise"
STATE_SCHEMA = f"{HERE}test_state_files_have_a_schema_that_is_checked"
RECORD = f"{BAD}test_a_corrupt_resume_record_costs_bytes_and_is_set_aside"
ERRORS = f"{BAD}test_one_file_of_five_fails_and_the_others_are_there"
LAYOUT = f"{HERE}test_files_go_to_a_folder_named_after_the_repo"
BUFFER = f"{HERE}test_five_percent_more_than_is_written_must_be_free"
THRESHOLD = f"{HERE}test_the_threshold_is_in_mb_and_splits_what_reaches_it"
PATIENCE = f"{HERE}test_a_429_is_waited_out"
LAW = "testing/simulation/test_scenarios.py::test_the_law_meets_its_bars"
ADAPTS = "test_lines.py::test_connections_that_are_held_back_one_by_one_lead_to_the_ceiling"
SLOW_PEER = "engine/test_inflight.py::test_a_connection_far_below_its_peers_is_replaced"
PROOFS = {
    "system load optimization; per-thread performance tracking": (
        "display/test_connections.py::test_a_row_says_file_range_rate_age_and_state",
        "engine/test_gauge.py",
    ),
    "dynamic thread allocation based on speed": (LAW, ADAPTS),
    "dynamic thread allocation, percentage-based allocation": (LAW, ADAPTS),
    "network bandwidth control": (
        "engine/test_limiter.py::test_no_window_has_more_than_the_limit_the_burst_and_a_read_of_each",
    ),
    "network saturation prevention": (
        "engine/test_limiter.py::test_a_share_of_the_line_settles_and_does_not_decay",
    ),
    "smart scaling based on CPU cores": (
        LAW,
        "core/test_controller.py::test_the_ceiling_follows_cores_and_memory_up_to_what_is_polite",
    ),
    "thread allocation: dynamic, by test results": (ADAPTS, SLOW_PEER),
    "set min-speed-percentage based on stability needs": (SLOW_PEER,),
    "a fast, reliable and safe downloader": (RESUME, "e2e/test_benchmarks.py"),
    "better performance than git": ("e2e/test_benchmarks.py",),
    "safe downloads and intelligent resource management": (
        f"{BAD}test_hostile_names_are_all_named_and_nothing_is_fetched",
    ),
    "size-based download strategy": (SMALL_FIRST,),
    "real-time speed statistics; progress tracking": (PROGRESS,),
    "verified resume capability": (
        f"{DAMAGE}test_a_byte_flipped_in_a_part_costs_one_cell",
    ),
    "fallback size retrieval": (NO_SIZES,),
    "cross-platform file locking": (LOCK, "disk/test_lock.py"),
    "works with public repositories without token": (
        f"{HERE}test_a_public_repo_needs_no_token",
    ),
    "secure token handling": (SECRETS,),
    "clear authentication guidance": (REFUSED,),
    "automatic model-specific directory": (LAYOUT,),
    "state persistence with schema": (STATE_SCHEMA,),
    "race condition prevention": (LOCK,),
    "hybrid hashing (BLAKE3 for speed": (
        "e2e/test_real_model.py::test_the_installed_command_downloads_it",
        f"{DAMAGE}test_a_byte_flipped_in_a_part_costs_one_cell",
    ),
    "pre-allocated file space": (f"{HERE}test_space_is_allocated_before_the_bytes_come",),
    "5% disk space safety buffer": (BUFFER,),
    "graceful interruption handling": (SIGNAL,),
    "clean state management": (f"{HERE}test_the_state_folder_may_be_deleted",),
    "Python 3.10 or higher": (f"{HERE}test_the_requirements_are_those_of_the_package",),
    "huggingface_hub, blake3": (f"{HERE}test_the_requirements_are_those_of_the_package",),
    "sufficient disk space": (f"{BAD}test_a_disk_too_small_is_refused_before_the_first_byte",),
    "git clone, cd, pip install": (f"{HERE}test_the_requirements_are_those_of_the_package",),
    "hfdl username/model_name": (LAYOUT,),
    "the advanced example": (f"{HERE}test_the_advanced_example_works_as_it_stands",),
    "-d, --directory": (LAYOUT,),
    "-r, --repo_type": (f"{HERE}test_the_repo_type_can_be_given_in_each_old_way",),
    "--chunk-size in bytes": (f"{HERE}test_the_chunk_size_is_in_bytes",),
    "--min-free-space in MB": (f"{BAD}test_a_number_for_min_free_space_is_strict",),
    "--verify: verify existing": (f"{HERE}test_verify_and_fix_broken_and_force",),
    "--file-size-threshold in MB": (THRESHOLD,),
    "--min-speed-percentage": (
        f"{HERE}test_the_speed_options_mean_something",
        "engine/test_inflight.py::test_a_connection_far_below_its_peers_is_replaced",
    ),
    'HFDownloader("username/model_name")': (f"{HERE}test_the_old_class_downloads",),
    "the advanced configuration": (f"{HERE}test_the_advanced_configuration_works_as_it_stands",),
    "small files (<200MB by default)": (THRESHOLD,),
    "small files downloaded first": (SMALL_FIRST,),
    "ensures efficient resource utilization": (
        f"{HERE}test_a_lone_file_is_split_while_connections_are_idle",
    ),
    "real-time statistics": (PROGRESS,),
    "thread utilization tracking": (PROGRESS,),
    "improved error reporting": (REFUSED, ERRORS),
    "quick completion of small files": (f"{HERE}test_a_small_file_takes_one_request",),
    "network-aware thread management": (PATIENCE,),
    "resource monitoring": (BUFFER, f"{HERE}test_threads_are_a_ceiling_for_connections"),
    "progress: real-time speed": (PROGRESS, ERRORS),
    "schema validation for state files": (STATE_SCHEMA, RECORD),
    "safe state persistence": (RESUME,),
    "clear error reporting": (ERRORS,),
    "safe token handling; clear": (SECRETS, REFUSED),
    "pre-allocated file space; 5% buffer": (
        BUFFER,
        f"{DAMAGE}test_verify_finds_a_flipped_byte_and_heals_it_for_one_cell",
    ),
    "downloads organized by model name": (LAYOUT,),
    "let small files download first": (SMALL_FIRST,),
    "monitor download progress": (PROGRESS,),
    "handle edge cases gracefully": (f"{BAD}test_several_kinds_of_failure_are_exit_10",),
    "adjust file size threshold": (THRESHOLD,),
    "use appropriate timeouts": (
        f"{BAD}test_an_address_where_nobody_listens", "net/test_transport.py",
    ),
    "enables safe interruption": (SIGNAL, LOCK),
    "safe to interrupt with Ctrl+C": (SIGNAL, RESUME),
    "state is properly maintained": (SIGNAL, ERRORS),
    "contributions are welcome": (f"{HERE}test_the_licence_and_the_invitation_are_there",),
    "MIT": (f"{HERE}test_the_licence_and_the_invitation_are_there",),
    "built using the Hugging Face Hub API": (
        f"{HERE}test_the_requirements_are_those_of_the_package",
    ),
}  # fmt: skip


def table() -> dict[str, tuple[str, str]]:
    """Return the rows of the table: what it said, the sign, what is here."""
    section = README.partition("## What differs from the predecessor")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!---|\*\*|It said)(.+?) \| (.+?) \|(.*)\|$", section, re.MULTILINE)
    return {said: (sign.strip(), here.strip()) for said, sign, here in rows}


def test_every_sentence_of_the_predecessor_is_in_the_table() -> None:
    said = "\n".join(table()).lower()
    phrases = [*SENTENCES, *SHORTENED.values()]
    assert [phrase for phrase in phrases if phrase.lower() not in said] == []


def test_what_differs_says_why() -> None:
    silent = [said for said, (sign, here) in table().items() if sign.strip() == "≠" and not here]
    assert silent == []
    assert {sign for sign, _ in table().values()} == {"✓", "≠"}


def test_every_statement_that_is_called_true_names_what_shows_it() -> None:
    claimed = [said for said, (sign, _) in table().items() if "✓" in sign]
    assert len(claimed) > 40
    unproven = [said for said in claimed if not any(said.startswith(key) for key in PROOFS)]
    assert unproven == []
    stale = [key for key in PROOFS if not any(said.startswith(key) for said in claimed)]
    assert stale == []


@pytest.mark.parametrize("proof", sorted({one for tests in PROOFS.values() for one in tests}))
def test_the_proof_exists(proof: str) -> None:
    module, _, function = proof.partition("::")
    tree = ast.parse((ROOT / "tests" / module).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree)
             if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}  # fmt: skip
    assert function in names or (not function and any(name.startswith("test_") for name in names))


# -- the class -----------------------------------------------------------------------------


def test_the_old_class_has_its_old_arguments_in_their_order() -> None:
    parameters = inspect.signature(HFDownloader).parameters
    assert list(parameters) == [
        "model_id", "download_dir", "num_threads", "repo_type", "chunk_size", "min_free_space",
        "file_size_threshold", "min_speed_percentage", "speed_test_duration", "verify",
        "fix_broken", "force",
    ]  # fmt: skip
    defaults = {name: parameters[name].default for name in parameters if name != "model_id"}
    assert defaults["download_dir"] == "downloads"
    assert defaults["repo_type"] == "model"
    assert defaults["file_size_threshold"] == 200
    assert (defaults["verify"], defaults["fix_broken"], defaults["force"]) == (False, False, False)


@pytest.fixture
def endpoint_in_use(serve: Serve, monkeypatch: pytest.MonkeyPatch, place: Path) -> HostedRepo:
    """Serve a repo where code without an `endpoint` argument looks, and stand in a fresh folder."""
    repo = model(2 * MIB, "username/model_name")
    monkeypatch.setenv("HF_ENDPOINT", serve(repo).endpoint)
    monkeypatch.chdir(place)
    return repo


def test_the_old_class_downloads(endpoint_in_use: HostedRepo, place: Path) -> None:
    downloader = HFDownloader("username/model_name")
    assert downloader.download() is True
    check_complete(place / "downloads" / "model_name", endpoint_in_use)


def test_the_advanced_configuration_works_as_it_stands(
    endpoint_in_use: HostedRepo, place: Path
) -> None:
    downloader = HFDownloader(
        model_id="username/model_name",
        download_dir="custom_dir",
        num_threads=8,
        min_free_space=20,
        verify=True,
        fix_broken=True,
        file_size_threshold=500,
    )
    assert downloader.download() is True
    check_complete(place / "custom_dir" / "model_name", endpoint_in_use)


def test_min_free_space_of_the_class_is_in_mb(endpoint_in_use: HostedRepo, place: Path) -> None:
    with pytest.raises(StorageError, match="should be free"):
        HFDownloader("username/model_name", min_free_space=10**9).download()


def test_the_speed_options_mean_something(endpoint_in_use: HostedRepo, shell: OpenShell) -> None:
    downloader = HFDownloader("username/model_name", min_speed_percentage=5, speed_test_duration=5)
    assert downloader.download() is True
    options = [
        "--min-speed-percentage",
        "5",
        "--speed-test-duration",
        "5",
        "--speed-check-interval",
        "5",
    ]
    shell().run("username/model_name", *options).check(0)
    ended = shell().run("username/model_name", "--min-speed-percentage", "0").check(2)
    assert "not a percentage from 1 to 100" in ended.errors[0]


def test_a_mistake_in_an_argument_is_an_error_of_ours(endpoint_in_use: HostedRepo) -> None:
    with pytest.raises(UsageError, match="connections"):
        HFDownloader("username/model_name", num_threads="lots").download()


# -- the command ---------------------------------------------------------------------------


def test_files_go_to_a_folder_named_after_the_repo(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(2 * MIB, "username/model_name")
    here = shell(serve(repo))
    here.run("username/model_name").check()
    check_complete(place / "downloads" / "model_name", repo)
    here.run("username/model_name", "-d", "other").check()
    check_complete(place / "other" / "model_name", repo)
    assert {path.name for path in place.iterdir()} == {"downloads", "other"}
    assert (place / "downloads" / "model_name" / ".download_state").is_dir()


def test_the_advanced_example_works_as_it_stands(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(2 * MIB, "username/model_name")
    words = "-t 8 -d custom_dir --min-free-space 20 --verify --fix-broken --file-size-threshold 500"
    shell(serve(repo)).run("username/model_name", *words.split()).check()
    check_complete(place / "custom_dir" / "model_name", repo)


@pytest.mark.parametrize("option", ["-r", "--repo_type", "--repo-type"])
def test_the_repo_type_can_be_given_in_each_old_way(
    serve: Serve, shell: OpenShell, place: Path, option: str
) -> None:
    repo = HostedRepo.from_files("u/d", {"a.csv": b"1,2\n"}, repo_type="dataset")
    shell(serve(repo)).run("u/d", option, "dataset").check()
    check_complete(place / "downloads" / "d", repo)


def test_verify_and_fix_broken_and_force(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(2 * MIB)
    hub = serve(repo)
    here, target = shell(hub), place / "downloads" / "model"
    here.run("org/model").check()
    flip_byte(target / WEIGHTS, 99, keep_mtime=True)
    here.run("org/model", "--verify").check(6)
    here.run("org/model", "--verify", "--fix-broken").check()
    check_complete(target, repo)
    hub.log.clear()
    here.run("org/model", "--verify").check()
    assert content_requests(hub) == []
    here.run("org/model", "--force").check()
    assert set(content_requests(hub)) == {
        path for path, file in files_of(repo).items() if file.size
    }
    check_complete(target, repo)


def test_small_files_come_first(serve: Serve, shell: OpenShell) -> None:
    files = {f"{number}.bin": noise(str(number), 9_000_000 // number) for number in range(1, 8)}
    hub = serve(HostedRepo.from_files("org/model", files))
    shell(hub).run("org/model", "-t", "1", "--file-size-threshold", "4").check()
    asked = [entry.path for entry in hub.log.of("resolve")]
    wanted = [f"{number}.bin" for number in range(7, 0, -1)]
    # Two workers take turns on the one connection, so neighbours may change places.
    assert max(abs(asked.index(name) - place) for place, name in enumerate(wanted)) <= 1


def test_the_threshold_is_in_mb_and_splits_what_reaches_it(serve: Serve, shell: OpenShell) -> None:
    hub = serve(HostedRepo.from_files("org/model", {WEIGHTS: noise("x", 20 * MB)}))
    for threshold, split in (("21", False), ("20", True), ("10MB", True)):
        hub.log.clear()
        shell(hub).run("org/model", "--force", "--file-size-threshold", threshold).check()
        assert (len(hub.log.of("data")) > 1) == split, threshold


def test_a_lone_file_is_split_while_connections_are_idle(serve: Serve, shell: OpenShell) -> None:
    settings = Settings(rate_bytes_per_second=40 * MB)  # else one of them is enough
    hub = serve(
        HostedRepo.from_files("org/model", {WEIGHTS: noise("x", 40 * MIB)}), settings=settings
    )
    report = shell(hub).run("org/model", "--json").check().report
    assert len(hub.log.of("data")) > 1
    assert report["peak_connections"] > 1


def test_threads_are_a_ceiling_for_connections(serve: Serve, shell: OpenShell) -> None:
    hub = serve(model(40 * MIB), settings=Settings(rate_bytes_per_second=80 * MB))
    report = shell(hub).run("org/model", "--threads", "3", "--json").check().report
    assert report["peak_connections"] <= 3
    assert hub.log.peak_in_flight["hub"] + hub.log.peak_in_flight["data"] <= 4


@pytest.mark.anyio
async def test_the_chunk_size_is_in_bytes(hub: StartHub, place: Path) -> None:
    running = await hub(model(2 * MIB))
    sizes: list[int] = []

    class Counted(Stream):
        async def __anext__(self) -> Chunk:
            chunk = await super().__anext__()
            sizes.append(len(chunk.data))
            return chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hfdl_async.net.source.Stream", Counted)
        for chunk_size, most in (("10000", 10_000), (20_000, 20_000), ("8KiB", 8192)):
            sizes.clear()
            await download(
                "org/model", local_dir=place / "d", endpoint=running.endpoint, force=True,
                chunk_size=chunk_size,
            )  # fmt: skip
            assert max(sizes) == most


def test_a_small_file_takes_one_request(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = HostedRepo.from_files("org/small", many_small_files(120), direct=True)
    hub = serve(repo, settings=Settings(page_size=50))
    shell(hub).run("org/small").check()
    check_complete(place / "downloads" / "small", repo)
    whats = [entry.what for entry in hub.log]
    assert {what: whats.count(what) for what in set(whats)} == {
        "revision": 1, "tree": 3, "resolve": 120,
    }  # fmt: skip
    assert {entry.method for entry in hub.log} == {"GET"}


def test_sizes_that_a_listing_lacks_are_found_otherwise(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(2 * MIB)
    hub = serve(repo)
    hub.faults.add(Fault("tree", without_field("size")))
    shell(hub).run("org/model").check()
    check_complete(place / "downloads" / "model", repo)


def test_a_429_is_waited_out(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(2 * MIB)
    hub = serve(repo)
    hub.faults.add(Fault("resolve", Throttle(seconds=1), times=1))
    hub.faults.add(Fault("tree", Throttle(seconds=1, by="ratelimit"), times=1))
    shell(hub).run("org/model", "--max-retries", "0").check()
    assert len(hub.faults.fired) == 2
    check_complete(place / "downloads" / "model", repo)


def test_a_public_repo_needs_no_token(serve: Serve, shell: OpenShell, place: Path) -> None:
    hub = serve(model(2 * MIB))
    shell(hub).run("org/model").check()
    assert {entry.authorization for entry in hub.log} == {None}


# -- on disk -------------------------------------------------------------------------------


def test_space_is_allocated_before_the_bytes_come(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere the file system decides")
    with (place / "probe").open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, MIB)
        except OSError:
            pytest.skip("this file system does not allocate")
    size = 12 * MIB  # more, and in memory the rest is allocated while the first bytes come
    hub = serve(model(size), settings=Settings(rate_bytes_per_second=2 * MB))
    target = place / "d"
    with shell(hub).start("org/model", "--local-dir", target, "--no-progress") as running:
        until(lambda: payload(hub) > 256 * 1024, running)
        (part,) = [path for path in parts_of(target) if path.stat().st_size >= MIB]
        found = part.stat()
        assert payload(hub) < size // 2
        running.process.terminate()
        running.wait()
    assert found.st_size == size
    assert found.st_blocks * 512 >= size


def test_five_percent_more_than_is_written_must_be_free(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(HostedRepo.from_files("org/model", {WEIGHTS: noise("x", 15_600 * 1024)}))
    with small_disk(place / "disk") as disk:
        words = ("org/model", "--local-dir", disk / "d")
        strict = shell(hub).run(*words, "--min-free-space", "0").check(7)
        assert "5 %" in strict.errors[0]
        assert content_requests(hub) == []
        assert "5 %" in shell(hub).run(*words).check().err  # the default only warns


def test_state_files_have_a_schema_that_is_checked(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    shell(serve(model(2 * MIB))).run("org/model").check()
    state = place / "downloads" / "model" / ".download_state"
    assert (state / ".gitignore").read_text().strip() == "*"
    sealed = [path for path in state.glob("*.json") if path.name != "holder.json"]
    assert sealed
    for path in sealed:
        head = path.read_bytes()[:200]
        assert re.match(rb'\{"format":"hfdl [a-z]+","version":1,"checksum":"[0-9a-f]{64}"', head)


def test_the_state_folder_may_be_deleted(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(2 * MIB)
    hub = serve(repo)
    here, target = shell(hub), place / "downloads" / "model"
    here.run("org/model").check()
    shutil.rmtree(target / ".download_state")
    hub.log.clear()
    report = here.run("org/model", "--json").check().report
    assert {file["status"] for file in report["files"]} == {"reused"}
    assert content_requests(hub) == []
    check_complete(target, repo)


# -- what a person sees --------------------------------------------------------------------


def test_a_terminal_shows_total_rate_and_connections(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    pty = pytest.importorskip("pty", reason="a terminal of one's own needs Unix")
    hub = serve(model(24 * MIB), settings=Settings(rate_bytes_per_second=16 * MB))
    here = shell(hub)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*here.command, "org/model"],
        cwd=place,
        env=here.environment({"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last writer has gone
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read().decode().strip() == str(place / "downloads" / "model")
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert WEIGHTS in text  # the active file
    assert re.search(r"\d+(\.\d+)? MB/s", text)
    assert re.search(r"\d/\d+\b", text)  # connections now and allowed
    assert re.search(r"\d+ ?%", text)


# -- the project ---------------------------------------------------------------------------


def test_the_requirements_are_those_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.10"' in text
    for package in ("huggingface_hub", "blake3"):
        assert f'"{package}>=' in text
    assert 'hfdl = "hfdl_async.__main__:main"' in text


def test_the_licence_and_the_invitation_are_there() -> None:
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert (ROOT / "CONTRIBUTING.md").is_file()
