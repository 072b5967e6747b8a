"""Which strings from a server may become paths: refused or stored exactly, never renamed.

Every name is checked by grammar first (`check_name`), then all names of a listing against each
other (`find_problems`), before anything is downloaded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hfdl_async.core.model import Problem

STATE_FOLDER = ".download_state"
CACHE_STATE_FOLDER = ".hfdl"  # in a repo's folder of the shared cache
MAX_SHOWN_CHARACTERS = 500
QUICK_CHARACTERS, QUICK_DEPTH = 255, 32  # of a path that is no trouble to compare folder by folder

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DRIVE = re.compile(r"[A-Za-z]:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Nine of ten real names: nothing in here can be hostile on a system that is not Windows.
PLAIN_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}){0,8}"
_PLAIN = re.compile(PLAIN_NAME)
# Code points that HFS+ and its kin skip when they compare names (git's list for `.git`, and the
# rest of what Unicode calls default-ignorable).
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What a terminal or a log would act on instead of showing it.
_UNSHOWABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_WINDOWS_FORBIDDEN = re.compile(r'[<>"|?*]')
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_SHORT_GIT = re.compile(r"git~[0-9]+")  # the DOS name a Windows volume gives to `.git`
_SHORT_STATE = re.compile(r"downlo~[0-9]+")


@dataclass(frozen=True, slots=True)
class Naming:
    """What the target file system does to names.

    Attributes:
        case_insensitive: `A` and `a` are one file.
        normalises: Unicode forms of one text are one file.
        windows: the rules of Windows hold (devices, `:`, trailing dots and spaces).
        max_component_bytes: the longest name of one file or folder.
        max_path_bytes: the longest path inside the destination.
    """

    case_insensitive: bool = False
    normalises: bool = False
    windows: bool = False
    max_component_bytes: int = 255
    max_path_bytes: int = 4096

    def fold(self, name: str) -> str:
        """Return a text that is equal for two names if and only if they land on one file."""
        if name.isascii():
            return name.lower() if self.case_insensitive else name
        if self.normalises:
            name = unicodedata.normalize("NFD", _IGNORABLE.sub("", name))
        if self.case_insensitive:
            name = name.casefold()
        return unicodedata.normalize("NFC", name) if self.normalises else name


def is_commit(text: str) -> bool:
    """Return whether *text* is a full commit id."""
    return _COMMIT.fullmatch(text) is not None


def is_oid(text: str) -> bool:
    """Return whether *text* is the hex of a SHA-1 or a SHA-256."""
    return _OID.fullmatch(text) is not None


def shown(text: str) -> str:
    """Return *text* fit for a terminal or a log: controls and bidi marks escaped, cut when long."""
    text = _UNSHOWABLE.sub(lambda match: _escaped(match.group()), text)
    if len(text) > MAX_SHOWN_CHARACTERS:
        return text[: MAX_SHOWN_CHARACTERS - 1] + "…"
    return text


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def check_name(path: str, naming: Naming) -> str | None:
    """Return why *path* of a listing may not become a path below the destination, or None."""
    limit = min(naming.max_component_bytes, naming.max_path_bytes)
    if not naming.windows and len(path) <= limit and _PLAIN.fullmatch(path):
        return None
    reason = _check_whole(path, naming)
    if reason is not None:
        return reason
    for component in path.split("/"):
        reason = _check_component(component, naming)
        if reason is None and naming.windows:
            reason = _check_on_windows(component)
        if reason is not None:
            return reason
    return None


def _check_whole(path: str, naming: Naming) -> str | None:
    if not path:
        return "the name is empty"
    if path.startswith("/"):
        return "the path is absolute"
    if _DRIVE.match(path):
        return "the path starts with a drive"
    if _SURROGATE.search(path):
        return "the name is not valid Unicode"
    if len(path.encode()) > naming.max_path_bytes:
        return f"the path is longer than {naming.max_path_bytes} bytes"
    return None


def _check_component(component: str, naming: Naming) -> str | None:
    if not component:
        return "a part of the path is empty"
    if component in (".", ".."):
        return f"`{component}` is not a name"
    if _CONTROL.search(component):
        return "the name has control characters"
    if "\\" in component:
        return "the name has a backslash"
    if len(component.encode()) > naming.max_component_bytes:
        return f"a name is longer than {naming.max_component_bytes} bytes"
    folded = _fold_hard(component)
    if folded == ".git" or _SHORT_GIT.fullmatch(folded):
        return "the name belongs to git"
    if folded == STATE_FOLDER or (naming.windows and _SHORT_STATE.fullmatch(folded)):
        return "the name belongs to the downloader's own state"
    return None


def _fold_hard(component: str) -> str:
    """Return *component* as the most forgiving file system would read it."""
    if not component.isascii():
        component = unicodedata.normalize("NFC", _IGNORABLE.sub("", component)).casefold()
    # NTFS: `.git:stream` opens a stream of `.git`, and dots and spaces at the end do not count.
    return component.split(":", 1)[0].rstrip(". ").lower()


def _check_on_windows(component: str) -> str | None:
    if ":" in component:
        return "the name has a colon"
    if _WINDOWS_FORBIDDEN.search(component):
        return 'the name has one of <>"|?*'
    if component[-1] in ". ":
        return "a name ends in a dot or a space"
    if component.split(".", 1)[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
        return "the name is that of a device"
    return None


def find_problems(paths: Collection[str], naming: Naming) -> tuple[Problem, ...]:
    """Return every name that cannot be stored exactly, and every two that would land on one file.

    Takes time linear in the length of all names together.
    """
    if all(check_name(path, naming) is None for path in paths) and not _may_clash(paths, naming):
        return ()
    problems: list[Problem] = []
    tree = _Tree(naming)
    for path in paths:
        reason = check_name(path, naming) or tree.add(path)
        if reason is not None:
            problems.append(Problem(path, "unsafe", f"{shown(path)}: {reason}"))
    return tuple(problems)


def _may_clash(paths: Collection[str], naming: Naming) -> bool:
    """Return whether two of *paths* would land on one file, or on a folder of another one.

    A tree of a million names takes long to build and much room: it is needed to say who clashes
    with whom, which nearly never happens.
    """
    if any(len(path) > QUICK_CHARACTERS or path.count("/") > QUICK_DEPTH for path in paths):
        return True  # the folders of a name are as long together as the square of its length
    folders = _folders_of(paths)
    folded_folders = {_fold_path(folder, naming) for folder in folders}
    folded = {_fold_path(path, naming) for path in paths}
    return (
        len(folded) != len(paths)
        or len(folded_folders) != len(folders)
        or not folded.isdisjoint(folded_folders)
    )


def _folders_of(paths: Iterable[str]) -> set[str]:
    """Return the folders of *paths* and the folders of those."""
    folders = set[str]()
    inner = {path.rpartition("/")[0] for path in paths}
    while inner:
        inner -= folders
        folders |= inner
        inner = {path.rpartition("/")[0] for path in inner}
    folders.discard("")
    return folders


def _fold_path(path: str, naming: Naming) -> str:
    if path.isascii():
        return path.lower() if naming.case_insensitive else path
    return "/".join(map(naming.fold, path.split("/")))


@dataclass(slots=True)
class _Node:
    """A file, or a folder with a number of its own; *user* is the first path that needed it."""

    number: int
    spelling: str
    user: str
    is_file: bool


class _Tree:
    """The tree that the names of a listing would make on the target file system."""

    def __init__(self, naming: Naming) -> None:
        self._fold = naming.fold
        self._nodes: dict[tuple[int, str], _Node] = {}
        self._folders: dict[str, int | str] = {"": 0}  # exact path -> its number, or what is wrong

    def add(self, path: str) -> str | None:
        """Put the file *path* in; return why it cannot be there, or None."""
        folder, _, name = path.rpartition("/")
        parent = self._folders.get(folder)
        if parent is None:
            parent = self._folders[folder] = self._add_folder(folder, path)
        if isinstance(parent, str):
            return parent
        fresh = _Node(-1, name, path, is_file=True)
        node = self._nodes.setdefault((parent, self._fold(name)), fresh)
        if node is fresh:
            return None
        if not node.is_file:
            return f"is also the folder of {shown(node.user)}"
        if node.user == path:
            return "is listed twice"
        return f"would be the same file as {shown(node.user)}"

    def _add_folder(self, folder: str, user: str) -> int | str:
        number = 0
        for name in folder.split("/"):
            fresh = _Node(len(self._nodes) + 1, name, user, is_file=False)
            node = self._nodes.setdefault((number, self._fold(name)), fresh)
            if node.is_file:
                return f"needs a folder where {shown(node.user)} is a file"
            if node.spelling != name:
                return f"its folder would be the same as that of {shown(node.user)}"
            number = node.number
        return number
