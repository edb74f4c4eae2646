"""A file behind an address becomes a file here, whole or with one clear error."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from iovsim import __version__
from iovsim.errors import ScenarioError

PIECE_BYTES = 1 << 18
TIMEOUT_S = 60.0


class _StaySecure(urllib.request.HTTPRedirectHandler):
    """Follows a redirection from https to https alone."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.HTTPError(newurl, code, "redirected to an address without https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def size_bytes(url: str) -> int | None:
    """What the server says of a file's size, without fetching it; None where it says nothing."""
    with _opened(url, "HEAD") as answer:
        return _length(answer)


def fetch(url: str, path: Path, progress: Callable[[float], None]) -> None:
    """Write what lies behind `url` to `path`; `progress` is told the part so far, where the server gives the size.

    Raises `ScenarioError` where it cannot be reached, refuses, or breaks off.
    """
    with _opened(url, "GET") as answer, path.open("wb") as file:
        due, done = _length(answer), 0
        while piece := answer.read(PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            if due:
                progress(done / due)
        if due is not None and done != due:
            raise ScenarioError(f"{url}: broke off after {done} of {due} bytes; try again.")


@contextmanager
def _opened(url: str, method: str) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": f"iovsim/{__version__}"})
    try:
        with urllib.request.build_opener(_StaySecure).open(request, timeout=TIMEOUT_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        raise ScenarioError(f"{url}: the server answers {error.code} ({error.reason}).") from None
    except urllib.error.URLError as error:
        raise ScenarioError(f"{url}: cannot be reached ({error.reason}); check the network, or use --from.") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise ScenarioError(f"{url}: broke off ({type(error).__name__}: {error}); try again.") from None


def _length(answer: http.client.HTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None
