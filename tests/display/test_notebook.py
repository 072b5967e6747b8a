from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hfdl_async.core import events
from hfdl_async.core.progress import ActiveFile
from hfdl_async.display.notebook import NotebookDisplay, in_notebook
from hfdl_async.serving.process import serve_in_process
from tests.display.samples import HOSTILE, report, snapshot


class Handle:
    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def update(self, obj: object, *, raw: bool) -> None:
        assert raw
        assert isinstance(obj, dict)
        self.shown.append(obj)


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Stand in for what IPython gives where a kernel runs."""
    made = Handle()

    def display(obj: object, *, raw: bool, display_id: bool) -> Handle:
        assert display_id
        made.update(obj, raw=raw)
        return made

    import IPython.display

    monkeypatch.setattr(IPython.display, "display", display)
    return made


def test_one_output_is_updated_and_ends_as_a_summary(handle: Handle) -> None:
    display = NotebookDisplay()
    display.open("org/model")
    display.draw(snapshot(), [])
    display.close(snapshot(), [events.Finished(0.0, report())])
    display.draw(snapshot(), [])  # a late frame changes nothing
    assert len(handle.shown) == 3
    assert "61 %" in handle.shown[1]["text/html"]
    assert handle.shown[1]["text/plain"].startswith("org/model: 61 %")
    assert handle.shown[2]["text/plain"].startswith("org/model: 1 file, 600 MB in 6.0 s")
    assert "width:" not in handle.shown[2]["text/html"]


def test_names_cannot_become_html(handle: Handle) -> None:
    display = NotebookDisplay()
    name = f"<script>alert(1)</script>{HOSTILE}"
    display.open(name)
    view = replace(snapshot(note=name), active=(ActiveFile(name, 10, 1, 0, 1),))
    display.draw(view, [events.FileFailed(0.0, name, "network", name)])
    html = handle.shown[-1]["text/html"]
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_outside_a_kernel_this_is_no_notebook() -> None:
    assert not in_notebook()


CELL = """
from hfdl_async import download
report = await download("org/model", endpoint={endpoint!r}, local_dir={folder!r})
print(report.status)
"""


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
def test_a_real_cell_shows_one_tidy_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    install_kernel(tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    with serve_in_process(["--generate", "org/model", "--size", "3MB"]) as served:
        source = CELL.format(endpoint=served.endpoint, folder=str(tmp_path / "x"))
        notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        root = str(Path(__file__).parents[2])
        client = nbclient.NotebookClient(
            notebook, timeout=60, resources={"metadata": {"path": root}},
            kernel_name="hfdl-test",
        )  # fmt: skip
        client.execute()
    shown = notebook.cells[0].outputs
    assert [item.output_type for item in shown] == ["display_data", "stream"], shown
    assert "14 files, 2.98 MB" in shown[0].data["text/plain"]
    assert "14 files, 2.98 MB" in shown[0].data["text/html"]
    assert shown[1].text == "ok\n"


def install_kernel(prefix: Path) -> None:
    """Install a kernel that runs this interpreter, whatever is installed elsewhere."""
    kernelspec = pytest.importorskip("ipykernel.kernelspec")
    kernelspec.install(prefix=str(prefix), kernel_name="hfdl-test")
