"""Public maps: the catalogue is sound, downloads are whole and checked, and what is installed is found by name."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from iovsim.errors import ScenarioError, TraceError
from iovsim.files import sha256_of
from iovsim.mobility.catalogue import Entry, catalogue
from iovsim.mobility.download import fetch, size_bytes
from iovsim.mobility.map_record import read_record
from iovsim.mobility.map_store import install, installed_maps, map_config
from iovsim.mobility.map_summary import summarise
from iovsim.mobility.sumo_config import inputs

ROOT = Path(__file__).parents[2]
PORTSIDE = ROOT / "sumo_maps" / "portside"
SHARED = {"bologna": "bologna_joined", "erlangen": "erlangen_veins"}
FILES = ("portside.sumocfg", "portside.net.xml.gz", "portside.poly.xml.gz", "portside.rou.xml.gz")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; two names misbehave."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path.endswith("short.xml"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"<net>")
        elif self.path.endswith("moved.xml"):
            self.send_response(302)
            self.send_header("Location", "/site/plain.txt")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder, empty."""
    monkeypatch.setenv("IOVSIM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that `server` gives out: Portside, as if it were somebody's scenario."""
    folder = tmp_path / "web" / "site"
    folder.mkdir(parents=True)
    for file in FILES:
        shutil.copy(PORTSIDE / file, folder)
    (folder / "plain.txt").write_text("hello")
    return folder


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/site"
        running.shutdown()
        thread.join()


def entry(url: str, known: bool = True) -> Entry:
    return Entry(
        name="harbour",
        title="A harbour town",
        licence="Apache-2.0",
        homepage="https://example.org/harbour",
        sumocfg=FILES[0],
        url=url,
        files={file: sha256_of(PORTSIDE / file) if known else "" for file in FILES},
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_catalogue_is_sound() -> None:
    assert {"bologna", "erlangen", "lust", "most", "intas", "tapas-cologne", "best"} == set(catalogue())
    for found in catalogue().values():
        assert found.title
        assert found.licence
        assert found.homepage.startswith("https://")
        assert (found.url == "") == (not found.files) == (not found.commit)
        if found.url:
            assert found.url.startswith("https://")
            assert re.fullmatch("[0-9a-f]{40}", found.commit)
            assert found.commit in found.url
            assert found.sumocfg in found.files
        assert all(re.fullmatch("([0-9a-f]{64})?", digest) for digest in found.files.values())
        assert found.verified == (found.size_bytes > 0)
        assert not any(Path(file).is_absolute() or ".." in Path(file).parts for file in found.files)


@pytest.mark.parametrize("name", SHARED)
def test_real_maps_from_a_folder(name: str, shared: Path, data: Path) -> None:
    """Their hashes in the catalogue are those of the real files, and they list all that the configuration reads."""
    folder = shared / "scenarios" / SHARED[name]
    if not folder.is_dir():
        pytest.skip(f"the folder {SHARED[name]} is not beside this checkout")
    found = catalogue()[name]
    assert sum((folder / file).stat().st_size for file in found.files) == found.size_bytes
    place = install(found, folder)
    assert place == data / "maps" / name
    assert map_config(name) == place / found.sumocfg
    assert names(place) == sorted([*found.files, "map.json"])
    assert read_record(place).source == f"{found.homepage} at commit {found.commit}"


@pytest.mark.parametrize("known", [True, False])
def test_a_map_is_fetched_checked_and_found(server: str, data: Path, known: bool) -> None:
    told: list[tuple[str, float]] = []
    place = install(entry(server, known), progress=lambda step, done: told.append((step, done)))
    assert list(dict.fromkeys(step for step, _ in told)) == [*FILES, "checking"]
    assert [max(done for step, done in told if step == file) for file in FILES] == [1.0] * len(FILES)
    assert installed_maps() == {"harbour": place}
    assert inputs(map_config("harbour")).net.parent == place
    assert read_record(place).files == entry(server).files
    assert names(data / "maps") == sorted(["harbour", "map.json", *FILES])


def test_a_file_that_is_not_the_one_due_is_refused(server: str, site: Path, data: Path) -> None:
    (site / FILES[1]).write_bytes(gzip.compress(b"<net/>"))
    with pytest.raises(ScenarioError, match=rf"{FILES[1]} has SHA-256 [0-9a-f]+, but [0-9a-f]+ is due; it is damaged"):
        install(entry(server))
    assert names(data / "maps") == []


def test_a_hash_of_the_first_time_has_to_stay(server: str, site: Path) -> None:
    place = install(entry(server, known=False))
    before = (place / FILES[3]).read_bytes()
    (site / FILES[3]).write_bytes(gzip.compress(gzip.decompress(before) + b"\n"))
    with pytest.raises(ScenarioError, match=rf"{FILES[3]} has .* but had .* when it was first installed; if .* remove"):
        install(entry(server, known=False), overwrite=True)
    assert (place / FILES[3]).read_bytes() == before
    shutil.rmtree(place)
    install(entry(server, known=False))
    assert (place / FILES[3]).read_bytes() != before


def test_an_installed_map_is_replaced_only_if_asked(server: str) -> None:
    place = install(entry(server))
    with pytest.raises(ScenarioError, match="'harbour' is installed already; replace it with --overwrite"):
        install(entry(server))
    (place / FILES[1]).unlink()
    install(entry(server), overwrite=True)
    assert (place / FILES[1]).is_file()


def test_mistakes_of_servers(server: str, site: Path, data: Path) -> None:
    def of(file: str) -> Entry:
        return replace(entry(server), files={file: "", **entry(server).files})

    with pytest.raises(ScenarioError, match=r"site/gone\.xml: the server answers 404"):
        install(of("gone.xml"))
    with pytest.raises(ScenarioError, match=r"short\.xml: broke off (after 5 of 1000 bytes|\(IncompleteRead)"):
        install(of("short.xml"))
    (site / "large.xml").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    with pytest.raises(ScenarioError, match=r"large\.xml is only a pointer of git-lfs; clone https://example"):
        install(of("large.xml"))
    with pytest.raises(ScenarioError, match=r"cannot be reached .*; check the network, or use --from"):
        install(replace(entry(server), url="http://127.0.0.1:1/site"))
    assert names(data / "maps") == []


def test_what_sumo_refuses_is_not_installed(server: str, site: Path, data: Path) -> None:
    (site / FILES[0]).write_text('<configuration><input><net-file value="other.net.xml"/></input></configuration>')
    with pytest.raises(TraceError, match=r"names .*other\.net\.xml, which does not exist"):
        install(entry(server, known=False))
    assert names(data / "maps") == []


def test_fetching(server: str, tmp_path: Path) -> None:
    assert size_bytes(f"{server}/plain.txt") == 5
    told: list[float] = []
    fetch(f"{server}/moved.xml", tmp_path / "got", told.append)
    assert ((tmp_path / "got").read_text(), told) == ("hello", [1.0])


def test_a_map_of_another_source_from_a_folder(data: Path, site: Path) -> None:
    """Where the catalogue lists no files, they are those that the configuration reads."""
    by_hand = replace(entry(""), files={})
    with pytest.raises(ScenarioError, match=r"cannot be fetched from here: get it from https://example.*--from FOLDER"):
        install(by_hand)
    place = install(by_hand, site)
    assert names(place) == sorted(["map.json", *FILES])
    digest = hashlib.sha256((site / FILES[1]).read_bytes()).hexdigest()
    assert read_record(place).files[FILES[1]] == digest
    (site / "inner").mkdir()
    (site / FILES[0]).rename(site / "inner" / FILES[0])
    text = (site / "inner" / FILES[0]).read_text()
    (site / "inner" / FILES[0]).write_text(text.replace('value="portside', 'value="../portside'))
    with pytest.raises(ScenarioError, match=r"reads .*, which lies elsewhere; name its folder"):
        install(by_hand, site / "inner", overwrite=True)


def test_a_folder_that_lacks_a_file(site: Path) -> None:
    (site / FILES[2]).unlink()
    with pytest.raises(ScenarioError, match=rf"{FILES[2]}: no such file; --from must name a folder with all files"):
        install(entry("https://example.org"), site)


def test_names() -> None:
    assert map_config("portside") == PORTSIDE / "portside.sumocfg"
    with pytest.raises(ScenarioError, match=r"unknown map 'bolonga'; did you mean 'bologna'"):
        map_config("bolonga")
    with pytest.raises(ScenarioError, match=r"'bologna' is public, but not installed; run: iovsim map get bologna$"):
        map_config("bologna")
    with pytest.raises(ScenarioError, match=r"hands out to FOLDER,: iovsim map get best --from FOLDER$"):
        map_config("best")


def test_damaged_routes_are_told(site: Path) -> None:
    routes = site / FILES[3]
    for damage in (routes.read_bytes()[:2000], routes.read_bytes()[:40] + bytes(40) + routes.read_bytes()[80:]):
        routes.write_bytes(damage)
        with pytest.raises(TraceError, match=rf"{FILES[3]}: damaged gzip file"):
            summarise(site / FILES[0])


def test_a_damaged_record(server: str) -> None:
    place = install(entry(server))
    (place / "map.json").write_text('{"sumocfg": "x"')
    with pytest.raises(ScenarioError, match=r"map\.json: damaged .*; fetch or build the map again"):
        map_config("harbour")
