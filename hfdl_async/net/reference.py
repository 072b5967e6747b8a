"""Everything taken from `huggingface_hub`, the reference client; imported only when needed.

`build_hf_headers` is not among it: it may ask the network for a registry of agents, and it builds
a user agent that says "unknown".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hfdl_async.errors import AccessError, HfdlError
from hfdl_async.net.endpoints import api_url, default_endpoint, normalise_endpoint, resolve_url
from hfdl_async.net.headers import clean_text
from hfdl_async.net.targets import Target, parse_target, valid_repo_id

__all__ = [
    "Target",
    "api_url",
    "default_cache",
    "default_endpoint",
    "find_token",
    "is_offline",
    "matching",
    "may_link",
    "normalise_endpoint",
    "parse_target",
    "resolve_url",
    "user_agent",
    "valid_repo_id",
]

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_LOGINS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE")  # variables that make one


def find_token(token: str | bool | None) -> str | None:
    """Return the token to send: *token* itself, the stored login (None, True), or none (False).

    Blocks: the library may read files, refresh an expiring login or exchange an identity token,
    the latter two over the network. Call it in a thread, once for each run and after a 401.

    Raises:
        AccessError: a login was asked for and cannot be had.
    """
    if token is False:
        return None
    if isinstance(token, str):
        return token.strip() or None
    if token is None and _is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return None
    if token is None and not _may_be_logged_in():
        return None
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OIDCError
    from huggingface_hub.utils import get_token_to_send  # type: ignore[attr-defined] # lazy export

    # The base that all HTTP failures of the library share; it comes from a library of its own.
    http_error: type[Exception] = HfHubHTTPError.__bases__[0]
    try:
        found: str | None = get_token_to_send(token)
        return found
    except LocalTokenNotFoundError as error:
        raise AccessError("no stored login", hint="run `hf auth login`, or pass --token") from error
    except (OIDCError, http_error, OSError, UnicodeDecodeError) as error:
        raise _login_failed(error) from None  # the library's text may quote an answer with secrets


def _may_be_logged_in() -> bool:
    """Return whether there is anything for the library to look at.

    Its search begins by loading an HTTP client for the exchange of logins, which takes longer than
    a request; who has no login should not wait for that.
    """
    from huggingface_hub import constants

    if any(map(os.environ.get, _LOGINS)) or "IPython" in sys.modules:  # Colab keeps logins, too
        return True
    try:
        os.lstat(constants.HF_TOKEN_PATH)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)  # the library says what is wrong
    return True


def _login_failed(error: BaseException) -> HfdlError:
    from huggingface_hub.errors import OIDCError

    if isinstance(error, OIDCError):
        return AccessError(
            f"the identity token cannot be exchanged: {clean_text(str(error), 300)}",
            hint="set HF_OIDC_ID_TOKEN, or unset HF_OIDC_RESOURCE",
        )
    if isinstance(error, OSError) and error.errno is not None:
        reason = clean_text(error.strerror or "I/O error", 200)
        return AccessError(
            f"the stored login cannot be read: {reason}",
            hint="run `hf auth login`, or pass --token",
        )
    return AccessError(
        f"the login failed ({type(error).__name__})", hint="run `hf auth login`, or pass --token"
    )


def user_agent() -> str:
    """Return how we introduce ourselves: what we are and what we are made of, nothing else."""
    import huggingface_hub

    from hfdl_async import __version__

    parts = [
        f"hfdl/{__version__}",
        f"hf_hub/{huggingface_hub.__version__}",
        f"python/{'.'.join(map(str, sys.version_info[:3]))}",
    ]
    origin = os.environ.get("HF_HUB_USER_AGENT_ORIGIN", "")
    if origin and origin.isascii() and origin.isprintable():
        parts.append(f"origin/{origin}")
    return "; ".join(parts)


def default_cache() -> Path:
    """Return the folder of the shared cache, as the library finds it in the environment."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).absolute()


def may_link() -> bool:
    """Return whether the user lets links be made in the shared cache."""
    return not _is_true("HF_HUB_DISABLE_SYMLINKS")


def is_offline() -> bool:
    """Return whether the environment forbids the network, read now and not at import."""
    return _is_true("HF_HUB_OFFLINE") or (
        not os.environ.get("HF_HUB_OFFLINE") and _is_true("TRANSFORMERS_OFFLINE")
    )


def matching(
    paths: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[str]:
    """Return the *paths* that match any of *include* (all, if empty) and none of *exclude*.

    The rules are the library's: `*` crosses `/`, case counts, a trailing `/` means the folder.
    """
    if not include and not exclude:
        return list(paths)
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined] # the same

    return list(
        filter_repo_objects(
            paths, allow_patterns=list(include) or None, ignore_patterns=list(exclude) or None
        )
    )


def _is_true(name: str) -> bool:
    return os.environ.get(name, "").upper() in _TRUE
