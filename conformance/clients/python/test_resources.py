"""Resources as PyODPS sees them: kinds, open modes, streams, parts, references, errors.

What docs/semantics.md 2 says of handles is said of PyODPS where a row is marked R; here PyODPS itself shows it. Where it differs from
its own manual, the test's name says so.
"""

import datetime
import hashlib
import io
import itertools

import pytest
from odps import ODPS, errors, options
from odps.models import ArchiveResource, FileResource, JarResource, PyResource, Resource, TableResource, VolumeFileResource

_names = itertools.count(1)
CHUNK = 1000  # bytes; a small chunk makes small contents go in parts


@pytest.fixture
def fresh(odps):
    """Factory: `fresh("suffix")` is a resource name nobody else has; the resource is deleted after the test."""
    made = []

    def make(suffix=""):
        made.append(f"r{next(_names)}{suffix}")
        return made[-1]

    yield make
    for resource in made:
        if odps.exist_resource(resource):
            odps.delete_resource(resource)


@pytest.fixture
def existing(odps, fresh):
    """Factory: `existing(b"content")` is the name of a file resource that holds it."""

    def make(content=b"one\ntwo\nthree\n", kind="file", **kw):
        name = fresh()
        odps.create_resource(name, kind, fileobj=io.BytesIO(content), **kw)
        return name

    return make


def content(odps, name):
    """The bytes the endpoint holds, asked for anew."""
    with odps.open_resource(name, mode="rb") as f:
        return f.read()


def again(odps, name):
    """The resource as somebody else would see it: PyODPS keeps objects."""
    other = ODPS(odps.account.access_id, odps.account.secret_access_key, project=odps.project, endpoint=odps.endpoint)
    resource = other.get_resource(name)
    resource.reload()
    return resource


@pytest.mark.smoke
@pytest.mark.parametrize("kind, cls, suffix", [
    ("file", FileResource, ".txt"), ("py", PyResource, ".py"), ("jar", JarResource, ".jar"), ("archive", ArchiveResource, ".tar.gz"),
])
def test_each_kind_of_file_keeps_content_and_description(odps, fresh, kind, cls, suffix):
    name, data = fresh(suffix), bytes(range(256)) * 5
    before = datetime.datetime.now().replace(microsecond=0)
    odps.create_resource(name, kind, fileobj=io.BytesIO(data), comment="what it is for")
    r = again(odps, name)
    assert type(r) is cls and r.type.value == kind.upper()
    assert (r.size, r.content_md5, r.comment, r.is_temp_resource) == (len(data), hashlib.md5(data).hexdigest(), "what it is for", False)
    assert r.owner and r.last_updator
    assert before <= r.creation_time <= r.last_modified_time <= datetime.datetime.now()
    assert content(odps, name) == data


def test_text_is_the_content_and_a_file_is_read_from_its_start(odps, fresh):
    text, seeked = fresh(), fresh()
    odps.create_resource(text, "file", fileobj="some/path.txt")
    source = io.BytesIO(b"abcdef")
    source.seek(2)
    odps.create_resource(seeked, "file", fileobj=source)
    assert (content(odps, text), content(odps, seeked)) == (b"some/path.txt", b"abcdef")


def test_create_of_an_existing_one_is_refused_and_changes_nothing(odps, existing):
    name = existing(b"old")
    with pytest.raises(errors.ODPSError) as e:
        odps.create_resource(name, "file", fileobj=b"new")
    assert e.value.code == "ObjectAlreadyExists" and e.value.request_id
    assert content(odps, name) == b"old"


def test_missing_ones_are_no_such_object(odps):
    assert not odps.exist_resource("nothing_here")
    for call in (
        lambda: odps.get_resource("nothing_here"),
        lambda: odps.delete_resource("nothing_here"),
        lambda: odps.open_resource("nothing_here", mode="r"),
        lambda: odps.open_resource("nothing_here"),
        lambda: odps.open_resource("nothing_here", mode="a"),
        lambda: odps.open_resource("nothing_here", mode="r", stream=True),
    ):
        with pytest.raises(errors.NoSuchObject) as e:
            call()
        assert e.value.request_id and "nothing_here" in str(e.value)


@pytest.mark.parametrize("bad", ["a\\b", ".", "n" * 256])
def test_bad_names_are_invalid_arguments(odps, bad):
    with pytest.raises(errors.InvalidArgument):
        odps.create_resource(bad, "file", fileobj=b"x")


def test_update_replaces_the_content_and_keeps_kind_and_comment(odps, existing):
    name = existing(b"first", kind="py", comment="kept")
    odps.get_resource(name).update(io.BytesIO(b"second version"))
    r = again(odps, name)
    assert (r.type, r.comment, r.size) == (Resource.Type.PY, "kept", 14)
    assert content(odps, name) == b"second version"


def test_delete_and_drop(odps, existing):
    first, second = existing(), existing()
    odps.delete_resource(first)
    odps.get_resource(second).drop()
    assert not odps.exist_resource(first) and not odps.exist_resource(second)


def test_list_by_prefix_and_owner_and_in_pages(odps, fresh, endpoint):
    prefix = fresh("_list_")
    names = sorted(f"{prefix}{i:04d}" for i in range(1050))  # more than a page of 1,000
    try:
        for n in names:
            odps.create_resource(n, "file", fileobj=b"x")
        assert [r.name for r in odps.list_resources(prefix=prefix)] == names
        first = next(iter(odps.list_resources(prefix=prefix)))
        assert (first.size, first.type, bool(first.owner)) == (1, Resource.Type.FILE, True)
        assert [r.name for r in odps.list_resources(prefix=prefix, owner=first.owner)] == names
        assert list(odps.list_resources(prefix=prefix, owner="nobody")) == []
        assert list(odps.list_resources(prefix=prefix + "none")) == []
    finally:
        for n in names:
            odps.delete_resource(n)


def test_temporary_flag(odps, fresh):
    name = fresh()
    odps.create_resource(name, "file", fileobj=b"x", temp=True)
    assert again(odps, name).is_temp_resource
    with odps.open_resource(name, mode="w") as f:  # says nothing about it
        f.write("y")
    assert again(odps, name).is_temp_resource
    opened = fresh()
    with odps.open_resource(opened, mode="w", temp=True, comment="c", type="py") as f:
        f.write("y")
    r = again(odps, opened)
    assert (r.is_temp_resource, r.comment, r.type) == (True, "c", Resource.Type.PY)


# Open modes: semantics 2.3 and 2.4.

READING, WRITING = "not open for reading", "not open for writing"


@pytest.mark.smoke
@pytest.mark.parametrize("mode", ["r", "w", "a", "r+", "w+", "a+", "rb", "wb", "ab", "r+b", "rb+", "w+b", "wb+", "a+b", "ab+"])
def test_what_each_mode_allows(odps, existing, mode):
    old = b"one\ntwo\nthree\n"
    name = existing(old)
    binary, kind = "b" in mode, mode.replace("b", "")

    def text(data):
        return data if binary else data.decode()

    f = odps.open_resource(name, mode=mode)
    held = b"" if kind in ("w", "w+") else old
    assert f.tell() == 0
    if kind in ("w", "a"):
        for call in (f.read, f.readline, f.readlines, lambda: next(f)):
            with pytest.raises(IOError, match=READING):
                call()
    else:
        assert f.read(2) == text(held[:2])
        assert f.readline() == text(held[2:4])
        assert f.readlines() == [text(line) for line in held[4:].splitlines(keepends=True)]
        assert f.read() == text(b"") and f.read(0) == text(b"")
        f.seek(0)
        assert list(f) == [text(line) for line in held.splitlines(keepends=True)]
        f.seek(0)
    if kind == "r":
        for call in (lambda: f.write(text(b"x")), lambda: f.writelines([text(b"x")]), f.truncate):
            with pytest.raises(IOError, match=WRITING):
                call()
        f.flush()
        f.close()
        assert content(odps, name) == old
        return
    f.seek(1)
    f.write(text(b"XY"))
    f.writelines([text(b"Z"), text(b"\n")])
    if kind in ("a", "a+"):
        want = old + b"XYZ\n"
    elif kind in ("w", "w+"):
        want = (b"\0" + b"XYZ\n")  # the gap below the position
    else:
        want = old[:1] + b"XYZ\n" + old[5:]
    assert content(odps, name) == old, "nothing is submitted before flush"
    f.flush()
    assert content(odps, name) == want
    f.truncate(2)
    f.truncate(100)  # no extension
    f.close()
    assert content(odps, name) == want[:2]
    f.close()


@pytest.mark.parametrize("mode", ["x", "rt", "U", "rw", ""])
def test_other_modes_are_refused(odps, existing, mode):
    with pytest.raises(ValueError):
        odps.open_resource(existing(), mode=mode)


@pytest.mark.parametrize("mode", ["w", "wb", "w+", "w+b"])
def test_write_modes_create_a_missing_one(odps, fresh, mode):
    name = fresh()
    with odps.open_resource(name, mode=mode) as f:
        f.write(b"made" if "b" in mode else "made")
        assert not odps.exist_resource(name), "not before the first flush"
    assert content(odps, name) == b"made"


@pytest.mark.parametrize("mode", ["w", "w+"])
def test_write_mode_without_a_write_submits_nothing_unlike_the_manual(odps, existing, fresh, mode):
    name, missing = existing(b"old"), fresh()
    for n in (name, missing):
        with odps.open_resource(n, mode=mode) as f:
            f.write("")
    assert content(odps, name) == b"old" and not odps.exist_resource(missing)


def test_default_modes(odps, existing):
    name = existing(b"abc")
    with odps.open_resource(name) as f:  # r+
        assert f.read() == "abc"
        f.write("d")
    with odps.get_resource(name).open() as f:  # r
        assert f.read() == "abcd"
        with pytest.raises(IOError, match=WRITING):
            f.write("e")


def test_text_positions_are_characters(odps, fresh):
    name = fresh()
    with odps.open_resource(name, mode="w") as f:
        assert f.write("héllo\r\n数据\n") is not None
    assert content(odps, name) == "héllo\r\n数据\n".encode()
    with odps.open_resource(name, mode="r+") as f:
        assert f.read(2) == "hé" and f.tell() == 2
        assert f.readline(2) == "ll"
        assert f.readlines() == ["o\r\n", "数据\n"]
        f.seek(0, io.SEEK_END)
        assert f.tell() == 10
        f.seek(1)
        f.write("e")
        f.truncate()
    assert content(odps, name) == b"he"


def test_each_kind_of_content_in_the_other_kind_of_handle(odps, fresh):
    name = fresh()
    with odps.open_resource(name, mode="wb") as f:
        f.write("text")
    with odps.open_resource(name, mode="r+") as f:
        f.seek(0, io.SEEK_END)
        f.write(b" bytes")
    assert content(odps, name) == b"text bytes"


def test_other_encodings_read_and_are_written_as_utf8(odps, existing):
    name = existing("é\n".encode("latin-1"))
    with odps.open_resource(name, mode="r+", encoding="latin-1") as f:
        assert f.read() == "é\n"
        f.write("ü")
    assert content(odps, name) == "é\nü".encode()
    with pytest.raises(UnicodeDecodeError):
        odps.open_resource(existing(b"\xff\xfe"), mode="r")


def test_two_handles_the_later_flush_wins_whole(odps, existing, connect, endpoint):
    name = existing(b"0")
    first, second = odps.open_resource(name, mode="r+b"), connect(endpoint).open_resource(name, mode="r+b")
    first.write(b"first and long")
    second.write(b"second")
    second.close()
    assert content(odps, name) == b"second"
    first.close()
    assert content(odps, name) == b"first and long"


def test_handle_outlives_the_deletion(odps, existing):
    name = existing(b"old")
    f = odps.open_resource(name, mode="r+b")
    odps.delete_resource(name)
    assert f.read() == b"old"
    f.write(b"er")
    f.close()
    assert content(odps, name) == b"older"


# Streaming handles: semantics 2.7; parts: 2.8.


@pytest.fixture
def parted():
    """Contents above CHUNK bytes go in parts."""
    options.resource_chunk_size = CHUNK


@pytest.mark.smoke
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 7])
@pytest.mark.parametrize("kind", ["file", "jar", "py", "archive"])
def test_content_in_parts(odps, fresh, parted, size, kind):
    name, data = fresh(), bytes(i * 7 % 251 for i in range(size))
    odps.create_resource(name, kind, fileobj=io.BytesIO(data))
    odps.get_resource(name).update(io.BytesIO(data))
    assert content(odps, name) == data
    r = again(odps, name)
    assert (r.type.value, r.size, r.content_md5) == (kind.upper(), size, hashlib.md5(data).hexdigest())
    assert [x.name for x in odps.list_resources(prefix=name)] == [name], "parts are not listed, and gone"


def test_files_above_a_chunk_go_in_parts(odps, fresh, parted, tmp_path, endpoint):
    data = b"0123456789" * 1000
    path = tmp_path / "source"
    path.write_bytes(data)
    name, log = fresh(), endpoint.log()
    with open(path, "rb") as source:
        odps.create_resource(name, "file", fileobj=source)
    assert content(odps, name) == data
    asked = endpoint.log()[len(log):]
    assert (asked.count("rIsPart=true"), asked.count("rOpMerge=true")) == (10, 1)
    with pytest.raises(errors.ODPSError) as e, open(path, "rb") as source:
        odps.create_resource(name, "file", fileobj=source)
    assert e.value.code == "ObjectAlreadyExists"
    assert content(odps, name) == data


def test_bytes_above_a_chunk_fail_within_the_client(odps, fresh, parted):
    with pytest.raises(AttributeError, match="read"):
        odps.create_resource(fresh(), "file", fileobj=b"x" * (CHUNK + 1))


def test_text_stream_of_other_letters_is_refused_because_the_client_counts_characters(odps, fresh, parted):
    name = fresh()
    f = odps.open_resource(name, mode="w", stream=True)
    f.write("数据" * CHUNK)
    with pytest.raises(errors.ODPSError) as e:
        f.close()
    assert e.value.code == "CheckSumError" and "6000 bytes, 2000 were announced" in str(e.value)
    assert not odps.exist_resource(name)


@pytest.mark.parametrize("binary", [True, False])
def test_stream_write_and_read(odps, fresh, parted, binary):
    name, b = fresh(), "b" if binary else ""
    lines = [f"line {i}\n" for i in range(1000)]
    if binary:
        lines = [line.encode() for line in lines]
    with odps.open_resource(name, mode="w" + b, stream=True) as f:
        assert not f.seekable()
        for line in lines[:500]:
            f.write(line)
        f.flush()
        assert not odps.exist_resource(name), "flush does not publish"
        f.writelines(lines[500:])
        assert f.tell() == sum(map(len, lines))
        for call in (lambda: f.seek(0), f.truncate):
            with pytest.raises(io.UnsupportedOperation):
                call()
    empty = lines[0][:0]
    whole = empty.join(lines)
    with odps.open_resource(name, mode="r" + b, stream=True) as f:
        assert f.read() == whole and f.read(1) == empty
    with odps.open_resource(name, mode="r" + b, stream=True) as f:
        assert f.read(CHUNK + 3) == whole[:CHUNK + 3]
        assert f.readline() == whole[CHUNK + 3:whole.index(lines[0][-1:], CHUNK + 3) + 1]
    with odps.open_resource(name, mode="r" + b, stream=True) as f:
        assert f.readlines() == lines
    with odps.open_resource(name, mode="r" + b, stream=True) as f:
        assert [line for line in f] == lines
    with odps.open_resource(name, mode="r" + b, stream=True) as f:
        got = []
        while piece := f.readline(4):
            got.append(piece)
        assert empty.join(got) == whole and max(map(len, got)) == 4
    with odps.open_resource(name, mode="w" + b, stream=True) as f:  # replaces
        f.write(lines[3])
    assert content(odps, name) == b"line 3\n"


def test_stream_of_nothing_publishes_an_empty_resource(odps, fresh, existing):
    missing, name = fresh(), existing(b"old")
    for n in (missing, name):
        with odps.open_resource(n, mode="wb", stream=True):
            pass
        assert content(odps, n) == b"" and again(odps, n).size == 0
        with odps.open_resource(n, mode="rb", stream=True) as f:
            assert f.read() == b""


def test_stream_without_overwriting_is_refused_at_close(odps, existing, fresh):
    name = existing(b"old")
    f = odps.get_resource(name).open("wb", stream=True, overwrite=False)
    f.write(b"new")
    with pytest.raises(errors.ODPSError) as e:
        f.close()
    assert e.value.code == "ObjectAlreadyExists"
    assert content(odps, name) == b"old"


@pytest.mark.parametrize("mode", ["a", "ab", "a+"])
def test_stream_modes_that_are_refused(odps, existing, mode):
    with pytest.raises(io.UnsupportedOperation):
        odps.open_resource(existing(), mode=mode, stream=True)


@pytest.mark.parametrize("mode, same", [("r+", "r"), ("w+", "w")])
def test_stream_modes_lose_their_plus(odps, existing, mode, same):
    f = odps.open_resource(existing(), mode=mode, stream=True)
    assert f.mode.value == same
    f.close()


def test_stream_read_of_many_chunks(odps, fresh):
    name, data = fresh(), bytes(i * 31 % 256 for i in range(256)) * 4096  # 1 MiB: some checksummed pieces
    odps.create_resource(name, "file", fileobj=data)
    options.resource_chunk_size = 100_003
    with odps.open_resource(name, mode="rb", stream=True) as f:
        got = b""
        while piece := f.read(77_777):
            got += piece
    assert got == data


# Table resources: semantics 2.9.


@pytest.fixture
def split(odps, table):
    t = table(("id bigint, name string", "pt string, hh bigint"))
    t.create_partition("pt='a',hh=1")
    return t


@pytest.mark.smoke
def test_table_resource_reads_and_writes_its_partition(odps, fresh, split):
    name = fresh()
    odps.create_resource(name, "table", table_name=split.name, partition="pt='a',hh=1", comment="rows")
    r = again(odps, name)
    assert type(r) is TableResource and r.comment == "rows" and r.size is None
    assert r.source_table_name.startswith(f"{odps.project}.{split.name} partition(")
    assert r.table.name == split.name
    assert str(r.partition.partition_spec) == "pt='a',hh='1'"
    for _ in range(2):  # appends
        with r.open_writer() as w:
            w.write([[0, "aaaa"], [1, "bbbbb"]])
    with r.open_reader() as reader:
        assert [tuple(record.values[:2]) for record in reader] == [(0, "aaaa"), (1, "bbbbb")] * 2
    odps.delete_resource(name)
    assert odps.exist_table(split.name)


def test_table_resource_update_keeps_what_is_not_named(odps, fresh, split, table):
    other = table("id bigint")
    name = fresh()
    odps.create_resource(name, "table", table_name=split.name)
    r = odps.get_resource(name)
    assert r.partition is None
    r.update(partition="pt='b',hh='2'")
    r = again(odps, name)
    assert r.table.name == split.name
    assert "partition(pt='b',hh='2')" in r.source_table_name
    r.update(table_name=other.name, partition=None)
    r = again(odps, name)
    assert (r.table.name, r.partition) == (other.name, None)


def test_table_resource_of_a_missing_partition_fails_when_it_is_used(odps, fresh, split):
    name = fresh()
    odps.create_resource(name, "table", table_name=split.name, partition="pt='none',hh='9'")
    with pytest.raises(errors.NoSuchObject):
        with again(odps, name).open_writer() as w:
            w.write([0, "x"])
    with again(odps, name).open_writer(create_partition=True) as w:
        w.write([0, "x"])
    with again(odps, name).open_reader() as reader:
        assert reader.count == 1


def test_table_resource_wants_a_table(odps, fresh, split):
    for kw in ({"table_name": "nothing_here"}, {"table_name": f"{odps.project}.nothing_here"}):
        with pytest.raises(errors.NoSuchObject):
            odps.create_resource(fresh(), "table", **kw)
    for bad in ("pt='a'", "x='a',hh='1'"):
        with pytest.raises(errors.ODPSError) as e:
            odps.create_resource(fresh(), "table", table_name=split.name, partition=bad)
        assert e.value.code == "InvalidPartitionSpec"


def test_table_resource_dangles_when_its_table_goes(odps, fresh, table):
    t, name = table("id bigint"), fresh()
    odps.create_resource(name, "table", table_name=t.name)
    t.drop()
    r = again(odps, name)
    with pytest.raises(errors.NoSuchObject):
        r.table.reload()


def test_reading_a_reference_as_a_file_says_what_it_is(odps, fresh, table):
    t, name = table("id bigint"), fresh()
    odps.create_resource(name, "table", table_name=t.name)
    with pytest.raises(errors.NoSuchObject, match="reference to table"):
        odps.open_resource(name, mode="r")


def test_volume_resource_is_registered_and_has_no_content(odps, fresh, connect, endpoint):
    name = fresh()
    r = VolumeFileResource(name=name, parent=odps.get_project().resources, client=odps.rest, type="volumefile")
    r.volume_path, r.volume_type = f"{odps.project}/volumes/v/p/f", None  # a VolumeFile would ask for its volume
    r.create()
    got = again(odps, name)
    assert type(got) is VolumeFileResource and got.volume_path == f"{odps.project}/volumes/v/p/f"
    with pytest.raises(errors.NoSuchObject, match="no volumes"):
        connect(endpoint).open_resource(name, mode="r")


# Names.


def test_full_names_and_odd_ones(odps, existing, fresh):
    name = existing(b"x")
    assert content(odps, f"{odps.project}/resources/{name}") == b"x"
    assert odps.exist_resource(f"{odps.project}/resources/{name}")
    assert odps.get_resource(name).full_resource_name == f"{odps.project}/resources/{name}"
    upper = fresh("_X")
    odps.create_resource(upper, "file", fileobj=b"upper")
    assert not odps.exist_resource(upper.lower()), "names are case-sensitive"
    spaced = fresh(" a b.txt")
    odps.create_resource(spaced, "file", fileobj=b"spaced")
    assert content(odps, spaced) == b"spaced"


@pytest.mark.smoke
def test_schemas_are_namespaces(endpoints, connect):
    three = connect(endpoints("--schemas"))
    three.create_schema("rs1")
    options.enable_schema = True
    three.create_resource("f", "file", schema="rs1", fileobj=b"in rs1")
    three.create_resource("f", "file", fileobj=b"in default")
    assert (content_of(three, "f", "rs1"), content_of(three, "f", "default"), content_of(three, "f", None)) == (b"in rs1", b"in default", b"in default")
    assert content_of(three, f"{three.project}/schemas/rs1/resources/f", None) == b"in rs1"
    assert [r.name for r in three.list_resources(schema="rs1")] == ["f"]
    options.resource_chunk_size = CHUNK
    with three.open_resource("parts", mode="wb", schema="rs1", stream=True) as f:
        for _ in range(5):
            f.write(b"x" * CHUNK)
    assert content_of(three, "parts", "rs1") == b"x" * 5 * CHUNK
    t = three.create_table("t", "id bigint", schema="rs1")
    three.create_resource("t", "table", table_name="t", schema="rs1")
    r = three.get_resource("t", schema="rs1")
    assert r.source_table_name == f"{three.project}.rs1.t" and r.table.full_table_name == t.full_table_name
    three.delete_resource("f", schema="rs1")
    assert not three.exist_resource("f", schema="rs1") and three.exist_resource("f")
    with pytest.raises(errors.NoSuchObject):
        three.create_resource("f", "file", schema="none", fileobj=b"x")


def content_of(entry, name, schema):
    with entry.open_resource(name, mode="rb", schema=schema) as f:
        return f.read()


def test_resources_outlive_a_restart_and_parts_too(connect, tmp_path):
    from sluice_endpoint import Endpoint

    options.resource_chunk_size = CHUNK
    with Endpoint(data=tmp_path / "data") as first:
        o = connect(first)
        o.create_resource("f", "file", fileobj=b"kept", comment="c")
        f = o.open_resource("g", mode="wb", stream=True)
        f.write(b"a" * CHUNK)
        f.flush()
    with Endpoint(data=tmp_path / "data") as second:
        o2 = connect(second)
        assert content(o2, "f") == b"kept" and o2.get_resource("f").comment == "c"
        o.rest._endpoint = second.url  # the same client goes on
        again_open = o2.open_resource("g", mode="wb", stream=True)
        again_open._fp._resource_parts, again_open._fp._md5_digest = f._fp._resource_parts, f._fp._md5_digest
        again_open._fp._resource_counter, again_open._fp._rand_id = f._fp._resource_counter, f._fp._rand_id
        again_open.write(b"b")
        again_open.close()
        assert content(o2, "g") == b"a" * CHUNK + b"b"
