"""A Hub-compatible server for the demo and the tests, complete with the Hub's habits."""

from hfdl_async.serving.answer import Answer, Call, Hook, Wire
from hfdl_async.serving.content import BytesContent, Content, FileContent, GeneratedContent
from hfdl_async.serving.log import Entry, RequestLog
from hfdl_async.serving.repos import Commit, HostedFile, HostedRepo
from hfdl_async.serving.server import HubServer
from hfdl_async.serving.settings import READER_TOKEN, STRANGER_TOKEN, Settings

__all__ = [
    "READER_TOKEN",
    "STRANGER_TOKEN",
    "Answer",
    "BytesContent",
    "Call",
    "Commit",
    "Content",
    "Entry",
    "FileContent",
    "GeneratedContent",
    "Hook",
    "HostedFile",
    "HostedRepo",
    "HubServer",
    "RequestLog",
    "Settings",
    "Wire",
]
