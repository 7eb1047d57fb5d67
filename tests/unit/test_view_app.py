"""The viewer: what it answers, and above all what it refuses."""

import base64
import io
import json
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import datasets
import segrecord
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.images.overlay import colour_of
from segrecord.options import IGNORE
from segrecord.tables import FINDINGS
from segrecord.viewer import app, record_images

ORIGIN = "http://127.0.0.1:8000"
SCRIPTS = ("/view.js", "/list.js", "/record.js", "/common.js")
FINDING = ",".join(FINDINGS.names) + "\nwarning,dark,set/001,1.png,,,it is dark,look\n"


@pytest.fixture
def folder(tmp_path):
    made = datasets.make(tmp_path / "set")
    (made / "findings.csv").write_text(FINDING)
    return made


def client_of(folder, **options):
    options.setdefault("marks", folder.parent / "marks.csv")
    return TestClient(app.application(folder, **options), base_url=ORIGIN)


@pytest.fixture
def client(folder):
    return client_of(folder)


@pytest.fixture
def token(client):
    return client.get("/api/dataset").json()["token"]


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def opened(answer):
    assert answer.status_code == 200
    return np.asarray(Image.open(io.BytesIO(answer.content)))


# --- what it answers


def test_the_page_and_its_files_come_with_their_types(client):
    types = {"/": "text/html", "/view.css": "text/css", "/icon.svg": "image/svg+xml"}
    for path, kind in {**types, **dict.fromkeys(SCRIPTS, "text/javascript")}.items():
        answer = client.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert answer.content
    named = re.findall(r'(?:href|src)="([^"#]+)"', client.get("/").text)
    assert {f"/{name}" for name in named} == {"/view.js", "/view.css", "/icon.svg"}


def test_the_files_of_the_page_name_no_other_host(client):
    for path in ("/", "/view.css", *SCRIPTS):
        assert not re.search(r"https?:|//[a-z]+\.|@import", client.get(path).text)
    links = client.get("/icon.svg").text.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in links


def test_the_dataset_tells_what_can_be_filtered_by(client):
    told = client.get("/api/dataset").json()
    assert told["records"] == 9
    assert told["splits"] == [{"name": "train", "records": 7}, {"name": "val", "records": 2}]
    assert told["labels"] == [
        {"id": 0, "name": "cat", "records": 5},
        {"id": 1, "name": "dog", "records": 4},
    ]
    assert told["codes"] == [{"code": "dark", "records": 1}]
    assert (told["masks"], told["missing_masks"], told["source"]) == (True, 2, False)


def test_a_page_of_records_is_filtered_sorted_and_cut(client):
    told = client.get("/api/records?label=0&sort=key&order=desc&page=2&per_page=2").json()
    assert (told["count"], told["total"], told["page"], told["pages"]) == (5, 9, 2, 3)
    assert [one["key"] for one in told["records"]] == ["set/004", "set/002"]
    one = client.get("/api/records?code=dark").json()["records"][0]
    assert one["codes"] == ["dark"]
    assert (one["row"], one["label_name"], one["split"], one["mark"]) == (1, "dog", "train", "")


def test_a_record_is_told_by_row_and_by_key_with_its_neighbours(client):
    told = client.get("/api/record/1?label=1").json()
    assert told == client.get("/api/record", params={"key": "set/001", "label": "1"}).json()
    assert told["position"] == {"number": 0, "found": 4, "previous": None, "next": "set/003"}
    assert told["kept"] == {"age": "21"}
    assert told["group"] == "patient 0"
    assert told["findings"] == [
        {"level": "warning", "code": "dark", "message": "it is dark", "fix": "look"}
    ]
    assert told["damage"] == {}
    features = {one["name"]: (one["kind"], one["value"]) for one in told["features"]}
    assert features["image/class/text"] == ("bytes", "dog")
    assert features["image/width"] == ("int64", "7")
    assert features["image/encoded"][1].endswith(" bytes")
    names = {one["id"]: one["name"] for one in told["mask_pixels"]}
    assert names == {0: "background", 2: "hair", IGNORE: "ignore"}


def test_the_shard_and_number_are_those_of_the_record(client, folder):
    found = client.get("/api/record/5").json()
    assert (found["shard"], found["number"]) == ("train-00001-of-00002.tfrecord", 1)


def test_a_record_outside_of_the_filters_has_no_position(client):
    assert client.get("/api/record/1?split=val").json()["position"] is None


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
def test_pictures_show_the_pixels_of_the_record(tmp_path, schema):
    client = client_of(datasets.make(tmp_path / "set", schema=schema))
    made = datasets.sample(0)
    assert np.array_equal(opened(client.get("/image/0")), made.image)
    mask = opened(client.get("/mask/0"))
    assert mask.shape == (*made.mask.shape, 4)
    assert not mask[made.mask == 0].any()
    assert (mask[made.mask == 1] == (*colour_of(1), 255)).all()
    ignored = mask[made.mask == IGNORE]
    assert (ignored[:, :1] == ignored[:, :3]).all()
    outline = opened(client.get("/outline/0"))
    assert outline[3, 1, 3] == 255
    assert not outline[7].any()
    assert opened(client.get("/thumb/0")).shape == made.image.shape


def test_a_thumbnail_is_small_and_painted_where_asked(tmp_path, monkeypatch):
    big = np.full((400, 200, 3), 250, np.uint8)
    mask = np.zeros((400, 200), np.uint8)
    mask[100:300] = 1
    monkeypatch.setattr(
        datasets,
        "sample",
        lambda *_, **__: datasets.Sample("big", big, mask, 0, "g", "1"),
    )
    client = client_of(datasets.make(tmp_path / "set", {"train": (1,)}))
    thumb = opened(client.get("/thumb/0")).astype(int)
    assert thumb.shape == (record_images.THUMB, record_images.THUMB // 2, 3)
    assert np.abs(thumb[10, 40] - 250).max() < 6
    assert thumb[80, 40, 0] < 200
    plain = json.loads(client.get("/api/thumbs?rows=0&painted=0").text)["picture"]
    data = base64.b64decode(plain.removeprefix("data:image/jpeg;base64,"))
    assert np.abs(np.asarray(Image.open(io.BytesIO(data))).astype(int) - 250).max() < 6


def test_jpegs_are_reduced_while_they_are_decoded(tmp_path, inline):
    source = tmp_path / "source"
    source.mkdir()
    shade = np.linspace(0, 255, 900).astype(np.uint8)
    Image.fromarray(np.repeat(np.tile(shade, (600, 1))[:, :, None], 3, 2)).save(source / "a.jpg")
    segrecord.build(source, tmp_path / "set", shards=1)
    client = client_of(tmp_path / "set")
    assert client.get("/image/0").content[:2] == b"\xff\xd8"
    thumb = opened(client.get("/thumb/0"))
    assert thumb.shape == (107, 160, 3)
    assert np.abs(thumb[50, :, 0].astype(int) - np.linspace(0, 255, 160)).max() < 8


def test_a_record_without_a_mask_has_no_mask_and_a_plain_thumbnail(client):
    assert client.get("/api/record/3").json()["has_mask"] is False
    assert client.get("/mask/3").status_code == 404
    assert client.get("/outline/3").status_code == 404
    assert client.get("/thumb/3").status_code == 200


def test_thumbnails_come_together_in_the_order_that_was_asked(client):
    answer = client.get("/api/thumbs?rows=5,0,8,3")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["row"] for line in lines] == [5, 0, 8, 3]
    assert all(line["picture"].startswith("data:image/jpeg;base64,") for line in lines)


@pytest.mark.parametrize("rows", ["", "0,9", "0,x", "0,-1", "0,0.5", "0,,1", ",".join("0" * 241)])
def test_thumbnails_of_rows_that_are_not_there_are_refused_before_any_is_made(client, rows):
    answer = client.get("/api/thumbs", params={"rows": rows})
    assert answer.status_code == 400
    assert "rows must be up to 240 numbers from 0 to 8" in answer.text


def test_the_source_is_shown_where_it_was_given(folder, tmp_path):
    path = tmp_path / "source.bmp"
    Image.fromarray(datasets.sample(0).image).save(path)
    gone = str(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("#!/bin/sh\n")
    sources = {"set/000": str(path), "set/001": gone, "set/002": str(tmp_path / "text.png")}
    client = client_of(folder, source=sources)
    assert np.array_equal(opened(client.get("/source/0")), datasets.sample(0).image)
    missing, no_image = client.get("/source/1"), client.get("/source/2")
    assert (missing.status_code, no_image.status_code) == (422, 422)
    assert "the file does not exist" in missing.text
    assert "#!/bin/sh" not in no_image.text
    assert client.get("/source/4").status_code == 404
    told = [client.get(f"/api/record/{row}").json()["source"] for row in (0, 4)]
    assert told == [True, False]


# --- damage


def test_a_damaged_record_tells_its_error_in_place_of_its_pictures(folder):
    flip(folder / "train-00000-of-00002.tfrecord", 40)
    client = client_of(folder)
    for path in ("/image/0", "/mask/0", "/outline/0", "/thumb/0"):
        answer = client.get(path)
        assert answer.status_code == 422
        assert "record 0 at byte 0" in answer.text
    told = client.get("/api/record/0").json()
    assert "record 0 at byte 0" in told["damage"]["image"]
    assert told["features"] is None
    lines = [json.loads(line) for line in client.get("/api/thumbs?rows=0,1").text.splitlines()]
    assert "record 0 at byte 0" in lines[0]["error"]
    assert "picture" in lines[1]


def test_a_mask_that_cannot_be_decoded_leaves_the_image_to_be_seen(folder):
    shard = folder / "train-00000-of-00002.tfrecord"
    datasets.edit_record(shard, 0, image__segmentation__class__encoded=[b"no PNG"])
    index = datasets.read_index(folder)
    sizes = [len(payload) for payload in datasets.payloads_of(shard)]
    for row, size in enumerate(sizes):
        offset = sum(sizes[:row]) + row * 16
        datasets.edit_index(folder, row, length=size, offset=offset)
    assert index["key"][0].as_py() == "set/000"
    client = client_of(folder)
    told = client.get("/api/record/0").json()
    assert list(told["damage"]) == ["mask"]
    assert client.get("/image/0").status_code == 200
    assert client.get("/mask/0").status_code == 422
    assert client.get("/thumb/0").status_code == 422


def test_a_shard_that_is_gone_is_told_and_the_others_are_shown(folder):
    (folder / "train-00000-of-00002.tfrecord").unlink()
    client = client_of(folder)
    assert "cannot be opened" in client.get("/image/0").text
    assert client.get("/image/4").status_code == 200


def test_what_cannot_be_shown_at_all_is_refused_at_the_start(tmp_path, folder):
    with pytest.raises(OutputError, match="no finished dataset"):
        app.application(tmp_path)
    packed = datasets.make(tmp_path / "gzip", compression="gzip")
    with pytest.raises(UsageError, match="compressed"):
        client_of(packed)
    with pytest.raises(UsageError, match="lies inside it"):
        app.application(folder, marks=folder / "marks.csv")
    (folder / "records.arrow").write_bytes(b"no")
    with pytest.raises(RecordError):
        client_of(folder)


def test_marks_lie_in_the_working_folder_by_default_and_never_in_the_dataset(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert client_of(folder, marks=None).get("/marks").json()["file"] == "marks.csv"
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="pass --marks"):
        client_of(folder, marks=None)


# --- marks


def post(client, token, content, **headers):
    sent = {"Origin": ORIGIN, "X-Segrecord-Token": token, "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in sent.items() if value is not None}
    body = content if isinstance(content, bytes) else json.dumps(content)
    return client.post("/marks", content=body, headers=sent)


MARK = {"key": "set/002", "mark": "wrong", "note": "a hair"}


def test_a_mark_is_kept_shown_and_filtered_by(client, token, folder):
    assert post(client, token, MARK).json() == MARK
    assert (folder.parent / "marks.csv").read_text() == "key,mark,note\nset/002,wrong,a hair\n"
    assert client.get("/marks").json()["marks"] == [MARK]
    found = client.get("/api/records?mark=wrong").json()["records"]
    assert [(one["key"], one["mark"], one["note"]) for one in found] == [tuple(MARK.values())]
    assert post(client, token, MARK | {"mark": "", "note": ""}).status_code == 200
    assert client.get("/api/records?mark=wrong").json()["count"] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "must be JSON"),
        (b"\xff", "must be JSON"),
        (b"[" * 20_000, "must be JSON"),
        ([], "an object of key, mark, note"),
        ({"key": "set/002", "mark": "good"}, "an object of key, mark, note"),
        (MARK | {"path": "/etc/passwd"}, "an object of key, mark, note"),
        (MARK | {"note": 1}, "must be texts"),
        (MARK | {"mark": "fine"}, "one of good, wrong, unsure"),
        (MARK | {"key": "set/9"}, "no record of key 'set/9'"),
        (MARK | {"key": "\ud800"}, "no record of key"),
        (MARK | {"note": "\ud800"}, "Unicode"),
        (MARK | {"note": "x" * 2001}, "2000 characters"),
    ],
)
def test_what_is_no_mark_is_refused_and_nothing_written(client, token, folder, content, said):
    answer = post(client, token, content)
    assert answer.status_code == 400
    assert said in answer.text
    assert not (folder.parent / "marks.csv").exists()


def test_a_body_beyond_all_measure_is_not_read_to_its_end(client, token):
    assert post(client, token, b"x" * 40_000).status_code == 413


def test_a_file_that_cannot_be_written_is_told(client, token, folder):
    (folder.parent / "marks.csv").mkdir()
    answer = post(client, token, MARK)
    assert answer.status_code == 400
    assert "cannot be read" in answer.text


# --- refusals


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"Origin": "https://127.0.0.1:8000"}, 403),
        ({"X-Segrecord-Token": None}, 403),
        ({"X-Segrecord-Token": "guessed"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
        ({"Host": "evil.example:8000"}, 400),
    ],
)
def test_a_post_that_is_not_of_the_page_is_refused(client, token, folder, headers, status):
    sent = {"Origin": ORIGIN, "X-Segrecord-Token": token, "Content-Type": "application/json"}
    sent = {name: value for name, value in (sent | headers).items() if value is not None}
    answer = client.post("/marks", content=json.dumps(MARK), headers=sent)
    assert answer.status_code == status
    assert not (folder.parent / "marks.csv").exists()


def test_each_start_has_a_token_of_its_own(client, token, folder):
    assert len(token) >= 32
    assert client_of(folder).get("/api/dataset").json()["token"] != token


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "localhost", "",
        "127.0.0.1:8000.evil.example", "127.0.0.1:8000@evil.example", "0.0.0.0:8000", "[::1]:8000",
        "LOCALHOST.:8000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/api/dataset", "/image/0", "/marks", "/nothing"])
def test_another_host_is_refused_whatever_the_path(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "the Host must be" in answer.text


def test_the_machine_itself_has_two_names(client):
    for host in ("127.0.0.1:8000", "localhost:8000"):
        assert client.get("/api/records", headers={"Host": host}).status_code == 200


def test_a_post_of_the_other_name_has_its_own_origin(client, token):
    host = {"Host": "localhost:8000"}
    assert post(client, token, MARK, **host).status_code == 403
    assert post(client, token, MARK, **host, Origin="http://localhost:8000").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/index.html", "/static/view.js", "/view.js/", "/marks/", "/dataset.json", "/marks.csv",
        "/records.arrow", "/api", "/api/", "/api/record/", "/image", "/image/", "/image/x",
        "/image/-1", "/image/9", "/image/0/", "/image/0.png", "/image/%D9%A1",
        "/image/" + "9" * 5000,
        "/thumb/9", "/mask/1e1", "/outline/0x1", "/source/0", "/api/record/9", "/api/record?key=x",
        "/api/record?key=", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_other_paths_are_not_there(client, path):
    assert client.get(path, follow_redirects=False).status_code == 404


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "per_page=241", "sort=colour", "split=valid", "label=9"]
)
def test_a_parameter_that_cannot_be_is_refused_in_words(client, query):
    answer = client.get(f"/api/records?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "ODD"])
@pytest.mark.parametrize("path", ["/", "/marks", "/image/0", "/api/records"])
def test_other_methods_are_not_allowed(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_nothing_but_marks_takes_a_post(client, token):
    sent = {"Origin": ORIGIN, "X-Segrecord-Token": token, "Content-Type": "application/json"}
    for path in ("/", "/image/0", "/api/records"):
        assert client.post(path, content="{}", headers=sent).status_code == 405


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/", {}), ("/image/0", {}), ("/marks", {}), ("/nothing", {}), ("/", {"Host": "evil"})],
)
def test_every_answer_carries_the_headers_that_keep_a_browser_in(client, path, headers):
    found = client.get(path, headers=headers).headers
    policy = found["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"
    assert found["cross-origin-resource-policy"] == "same-origin"
    assert found["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in found


# --- the server itself


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server in a process of its own: its port and the process."""
    tmp_path = tmp_path_factory.mktemp("served")
    folder = datasets.make(tmp_path / "set")
    said = f"from segrecord.viewer.app import serve; serve({str(folder)!r})"
    with subprocess.Popen(
        [sys.executable, "-c", said], stdout=subprocess.PIPE, cwd=tmp_path, text=True
    ) as process:
        line = process.stdout.readline()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/  \(Ctrl-C ends it\)$", line)
        yield int(found[1]), process
        process.kill()


def raw(port, request):
    """The status of an answer to these very bytes, which no client has made tidy."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(request)
        answer = line.recv(65_536)
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize(
    "path",
    [
        "/../dataset.json", "/..%2fdataset.json", "/%2e%2e/dataset.json", "/%2e%2e%2fdataset.json",
        "/image/../../dataset.json", "/image/%2e%2e", "/image/..%5c..%5cdataset.json",
        "/view.js/../../app.py", "/view.js%00", "/./view.js/.", "//view.js", "/%2fetc%2fpasswd",
        "//etc/passwd", "/image/0/../1", "/image/%00", "http://evil.example/", "/source/%2e%2e%2f0",
    ],
)  # fmt: skip
def test_paths_as_they_are_sent_lead_nowhere(server, path):
    port, _ = server
    status, answer = raw(
        port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    assert status in (400, 404)
    assert b"segrecord" not in answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "hosts",
    [
        (), ("evil.example",), ("evil.example:{port}",), ("127.0.0.1",),
        ("127.0.0.1:{port}", "evil.example"), ("evil.example", "127.0.0.1:{port}"),
    ],
)  # fmt: skip
def test_hosts_as_they_are_sent_are_refused(server, hosts):
    port, _ = server
    lines = "".join(f"Host: {host.format(port=port)}\r\n" for host in hosts)
    status, _ = raw(port, f"GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert status == 400


def test_no_header_of_a_proxy_changes_who_is_answered(server):
    port, _ = server
    head = f"Host: evil.example\r\nX-Forwarded-Host: 127.0.0.1:{port}\r\nForwarded: host=127.0.0.1"
    status, _ = raw(port, f"GET / HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n".encode())
    assert status == 400


def test_a_web_socket_is_not_opened(server):
    port, _ = server
    head = f"Host: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    keys = "Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n"
    status, _ = raw(port, f"GET /marks HTTP/1.1\r\n{head}{keys}\r\n".encode())
    assert status != 101


@pytest.mark.skipif(sys.platform != "linux", reason="others have no 127.0.0.2 by themselves")
def test_only_this_machine_is_listened_to(server):
    port, _ = server
    listening = socket.socket()
    with listening, pytest.raises(OSError, match="refused"):
        listening.connect(("127.0.0.2", port))


def test_a_port_that_is_taken_is_told(server, folder, tmp_path):
    port, _ = server
    with pytest.raises(UsageError, match=f"port {port} cannot be listened on"):
        app.serve(folder, marks=tmp_path / "marks.csv", port=port)
    for beyond in (-1, 65_536):
        with pytest.raises(UsageError, match="port must be from 0 to 65535"):
            app.serve(folder, marks=tmp_path / "marks.csv", port=beyond)


def test_the_browser_is_opened_only_when_asked(folder, tmp_path, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(app.webbrowser, "open", shown.append)
    monkeypatch.setattr(app.uvicorn.Server, "run", lambda *_, **__: None)
    app.serve(folder, marks=tmp_path / "marks.csv")
    assert shown == []
    app.serve(folder, marks=tmp_path / "marks.csv", open_browser=True)
    assert shown == [capsys.readouterr().out.splitlines()[-1].split()[0]]


def test_ctrl_c_ends_it_in_peace(server):
    port, process = server
    assert raw(port, f"GET / HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())[0] == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
