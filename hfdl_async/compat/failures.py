"""Our errors as those of the reference client: its classes, its wording, our text and hint behind.

The library decides itself which of its classes an answer of the Hub is: it is shown the answer
again. What a class of ours stands for without an answer is decided here.
"""

from __future__ import annotations

from huggingface_hub import errors as theirs
from huggingface_hub.utils import (  # type: ignore[attr-defined] # lazy exports
    get_session,
    hf_raise_for_status,
)

from hfdl_async.errors import (
    AccessError,
    BusyError,
    DownloadError,
    GatedError,
    HfdlError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    Refusal,
    StorageError,
    UnsafeError,
    UsageError,
)


def translated(error: HfdlError, *, contents: bool = False) -> Exception:
    """Return what the library would raise where we raised *error*; to be raised `from error`.

    Args:
        error: ours; a bug of ours is returned as it is.
        contents: whether the Hub had answered and files were being fetched. Before that, an answer
            that is no final word (5xx, 429) means to the library that the Hub is out of reach.
    """
    if isinstance(error, DownloadError) and error.errors:
        first = translated(error.errors[0], contents=contents)
        first.args = (f"{error.message}: {first.args[0]}", *first.args[1:])
        return first
    answered = as_answer(error)
    if answered is not None and (contents or is_final(answered)):
        return answered
    if isinstance(error, AccessError) and isinstance(
        error.__cause__, theirs.LocalTokenNotFoundError
    ):
        return theirs.LocalTokenNotFoundError(text_of(error))
    if is_out_of_reach(error):
        away = theirs.LocalEntryNotFoundError(
            f"{text_of(error)}\nThe Hub could not be asked, and the cache does not have it."
        )
        if answered is not None:
            answered.__cause__ = error
            away.__cause__ = answered
        return away
    return _without_an_answer(error)


def _without_an_answer(error: HfdlError) -> Exception:
    match error:
        case UsageError():
            return ValueError(text_of(error))
        case StorageError():
            number = _errno_of(error)
            return OSError(text_of(error)) if number is None else OSError(number, text_of(error))
        case NotFoundError():
            return theirs.EntryNotFoundError(text_of(error))
        case UnsafeError() | IntegrityError() | BusyError() | DownloadError():
            return OSError(text_of(error))
        case _:
            return error


def is_out_of_reach(error: HfdlError) -> bool:
    """Return whether the library, in place of *error*, would look at what the cache has.

    That is so for all that keeps it from the Hub's facts, a refusal included, and not where the
    Hub says that a revision or a file does not exist.
    """
    if isinstance(error, NetworkError):
        return True
    if isinstance(error, AccessError):
        return not isinstance(error.__cause__, theirs.LocalTokenNotFoundError)
    return isinstance(error, NotFoundError) and isinstance(
        as_answer(error), theirs.RepositoryNotFoundError
    )


def is_final(answered: theirs.HfHubHTTPError) -> bool:
    """Return whether the library raises *answered* itself when the cache cannot help."""
    final = (
        theirs.RepositoryNotFoundError,  # GatedRepoError is one
        theirs.RevisionNotFoundError,
        theirs.RemoteEntryNotFoundError,
    )
    return isinstance(answered, final) or answered.response.status_code == 401


def as_answer(error: HfdlError) -> theirs.HfHubHTTPError | None:
    """Return the library's exception for the answer behind *error*, or None if there is none."""
    refusal = error.refusal
    if refusal is None and isinstance(error, GatedError) and error.url is not None:
        # The listing said it without a refusal: it hides the digests.
        refusal = Refusal(error.url, 403, "GatedRepo", error.message)
    return None if refusal is None else answer_of(refusal, text_of(error))


def answer_of(refusal: Refusal, text: str) -> theirs.HfHubHTTPError:
    """Return the library's exception for *refusal*, with *text* appended; its `response` works."""
    said = {
        "X-Error-Code": refusal.code,
        "X-Error-Message": refusal.message,
        "X-Request-Id": refusal.request_id,
    }
    # By way of the module: the type is that of the HTTP library that the library has chosen.
    response = theirs.Response(  # type: ignore[attr-defined] # not exported
        refusal.status,
        headers=[(name.encode(), value.encode()) for name, value in said.items() if value],
        request=get_session().build_request("GET", refusal.url),
    )
    try:
        hf_raise_for_status(response)
    except theirs.HfHubHTTPError as answered:
        answered.append_to_message(f"\n{text}")
        return answered.with_traceback(None)
    return theirs.HfHubHTTPError(text, response=response)


def text_of(error: HfdlError) -> str:
    """Return the message of *error* and its hint."""
    return error.message if error.hint is None else f"{error.message}\n{error.hint}"


def _errno_of(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__
    return None
