"""Who may read what, and with which words the Hub says no.

Source: recordings of the Hub's answers; the order of the checks is the Hub's.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from hfdl_async.serving.answer import Answer, Call, Headers, json_answer, text_answer
from hfdl_async.serving.repos import Commit, HostedFile, HostedRepo
from hfdl_async.serving.settings import Settings

_AUTHENTICATE = 'Bearer realm="Authentication required", charset="UTF-8"'


class Persona(Enum):
    """Who is asking, as far as the token tells."""

    ANONYMOUS = "anonymous"
    READER = "reader"
    STRANGER = "stranger"  # logged in, without access
    UNKNOWN = "unknown"  # a token the Hub does not know

    @property
    def is_logged_in(self) -> bool:
        """Whether the Hub knows this caller."""
        return self in (Persona.READER, Persona.STRANGER)


def persona(token: str | None, settings: Settings) -> Persona:
    """Tell who carries *token*."""
    if token is None:
        return Persona.ANONYMOUS
    if token in settings.readers:
        return Persona.READER
    return Persona.STRANGER if token in settings.strangers else Persona.UNKNOWN


def bearer(headers: Headers) -> str | None:
    """Return the token of an Authorization header; another scheme counts as an unknown token."""
    value = headers.get("Authorization")
    return None if value is None else value.removeprefix("Bearer ").strip()


def refusal(
    call: Call, status: int, code: str | None, message: str, headers: Headers | None = None
) -> Answer:
    """Return an error in the Hub's form: JSON under /api, plain text elsewhere."""
    extra = {"X-Error-Message": message, **(headers or {})}
    if code is not None:
        extra["X-Error-Code"] = code
    if status == 401:
        extra["WWW-Authenticate"] = _AUTHENTICATE
    if call.kind == "api":
        return json_answer({"error": message}, status=status, headers=extra)
    return text_answer(status, message, extra)


def repo_missing(call: Call, settings: Settings) -> Answer:
    """Say that a repo is not there, or not for this caller: nobody can tell which."""
    if persona(call.token, settings).is_logged_in:
        return refusal(call, 404, "RepoNotFound", "Repository not found")
    code = "RepoNotFound" if settings.code_on_401 else None
    return refusal(call, 401, code, "Invalid username or password.")


def revision_missing(call: Call) -> Answer:
    """Say that a revision is not there."""
    return refusal(call, 404, "RevisionNotFound", f"Invalid rev id: {call.revision}")


def entry_missing(call: Call, commit: Commit) -> Answer:
    """Say that a file is not there; the commit that lacks it is named."""
    return refusal(call, 404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.oid})


def check(
    call: Call,
    repo: HostedRepo,
    settings: Settings,
    *,
    route: Literal["facts", "content"],
    file: HostedFile | None = None,
) -> Answer | None:
    """Return the refusal for this caller, or None when it may go on.

    `facts` (info, tree, refs) of a gated repo are for everybody; `content` is not, and there the
    gate comes before the question whether a file exists.
    """
    who = persona(call.token, settings)
    if who is Persona.UNKNOWN and not repo.private:
        return refusal(call, 401, None, "Invalid credentials in Authorization header")
    if repo.private and who is not Persona.READER:
        return repo_missing(call, settings)
    if repo.disabled:
        return refusal(call, 403, None, "Access to this resource is disabled.")
    if not repo.gated or who is Persona.READER or route == "facts":
        return None
    if file is not None and file.is_public_in_gated_repo:
        return None
    if who is Persona.STRANGER:
        return refusal(
            call,
            403,
            "GatedRepo",
            f"Access to {repo.repo_type} {repo.repo_id} is restricted and you are not in the "
            f"authorized list. Visit the page of {repo.repo_id} to ask for access.",
        )
    return refusal(
        call,
        401,
        "GatedRepo",
        f"Access to {repo.repo_type} {repo.repo_id} is restricted. You must have access to it "
        "and be authenticated to access it. Please log in.",
    )


def sees_hashes(call: Call, repo: HostedRepo, settings: Settings) -> bool:
    """Tell whether the listing shows this caller the hashes of large files."""
    return not repo.gated or persona(call.token, settings) is Persona.READER
