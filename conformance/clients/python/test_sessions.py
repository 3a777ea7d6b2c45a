"""The sessions of TableTunnel by themselves: blocks, states, compression, streams, previews."""

import pyarrow as pa
import pytest
from odps import errors, options
from odps.tunnel import CompressOption, TableTunnel
from odps.tunnel.errors import TunnelError
from odps.tunnel.tabletunnel import TableDownloadSession, TableUploadSession

ALGORITHMS = ["zlib", "zstd", "lz4", "snappy"]


@pytest.fixture
def tunnel(odps):
    return TableTunnel(odps)


def put(session, block, rows):
    with session.open_record_writer(block) as writer:
        for row in rows:
            writer.write(session.new_record(row))


def read(tunnel, table, **kw):
    session = tunnel.create_download_session(table, **kw)
    with session.open_record_reader(0, session.count) as reader:
        return [list(r.values) for r in reader]


@pytest.mark.smoke
def test_life_of_an_upload(tunnel, table):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    assert session.status == TableUploadSession.Status.Normal
    put(session, 7, [[7]])
    put(session, 3, [[3], [4]])
    again = tunnel.create_upload_session(t.name, upload_id=session.id)
    assert sorted(again.get_block_list()) == [3, 7]
    assert [c.name for c in again.schema.columns] == ["id"]
    again.commit([3, 7])
    session.reload()
    assert session.status == TableUploadSession.Status.Closed
    assert read(tunnel, t.name) == [[3], [4], [7]]


def test_commit_again_is_the_same_commit(tunnel, table):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    put(session, 0, [[1]])
    session.commit([0])
    session.commit([0])
    assert read(tunnel, t.name) == [[1]]


def test_block_put_again_replaces(tunnel, table):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    put(session, 0, [[1], [2]])
    put(session, 0, [[3]])
    session.commit([0])
    assert read(tunnel, t.name) == [[3]]


@pytest.mark.parametrize("claimed", [[0], [0, 1, 2], [0, 2]])
def test_commit_of_other_blocks_is_refused_and_harmless(tunnel, table, claimed):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    put(session, 0, [[0]])
    put(session, 1, [[1]])
    with pytest.raises(TunnelError):
        session.commit(claimed)
    assert read(tunnel, t.name) == []
    session.commit([0, 1])
    assert read(tunnel, t.name) == [[0], [1]]


def test_block_after_commit_is_refused(tunnel, table):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    put(session, 0, [[0]])
    session.commit([0])
    with pytest.raises(errors.ODPSError) as caught:
        put(session, 1, [[1]])
    assert caught.value.code == "StatusConflict"
    assert read(tunnel, t.name) == [[0]]


@pytest.mark.parametrize("block", [20000, 2**31])
def test_block_ids_end(tunnel, table, block):
    t = table("id bigint")
    session = tunnel.create_upload_session(t.name)
    put(session, 19999, [[1]])
    with pytest.raises(errors.ODPSError):
        put(session, block, [[2]])
    session.commit([19999])
    assert read(tunnel, t.name) == [[1]]


def test_unknown_sessions_are_named(tunnel, table):
    t = table("id bigint")
    with pytest.raises(errors.ODPSError) as upload:
        tunnel.create_upload_session(t.name, upload_id="20240101000000nobody")
    with pytest.raises(errors.ODPSError) as download:
        tunnel.create_download_session(t.name, download_id="20240101000000nobody")
    assert upload.value.status_code == download.value.status_code == 404


def test_two_uploads_do_not_meet(tunnel, table):
    t = table("id bigint")
    one, two = tunnel.create_upload_session(t.name), tunnel.create_upload_session(t.name)
    put(one, 0, [[1]])
    put(two, 0, [[2]])
    two.commit([0])
    assert read(tunnel, t.name) == [[2]]
    one.commit([0])
    assert sorted(read(tunnel, t.name)) == [[1], [2]]


def test_download_session_is_a_snapshot_to_attach_to(tunnel, odps, table):
    t = table("id bigint, s string")
    odps.write_table(t, [[i, str(i)] for i in range(10)])
    session = tunnel.create_download_session(t.name)
    assert (session.count, session.status) == (10, TableDownloadSession.Status.Normal)
    odps.write_table(t, [[99, "later"]])
    again = tunnel.create_download_session(t.name, download_id=session.id)
    assert again.count == 10
    with again.open_record_reader(4, 3, columns=["s"]) as reader:
        assert [r["s"] for r in reader] == ["4", "5", "6"]
    with again.open_arrow_reader(8, 100, columns=["id"]) as reader:
        assert pa.Table.from_batches(list(reader)).column("id").to_pylist() == [8, 9]


@pytest.mark.parametrize("async_mode", [True, False])
def test_download_session_in_both_modes(tunnel, odps, table, async_mode):
    t = table("id bigint")
    odps.write_table(t, [[1], [2]])
    session = tunnel.create_download_session(t.name, async_mode=async_mode)
    with session.open_record_reader(1, 1) as reader:
        assert [r[0] for r in reader] == [2]


def test_unknown_column_is_refused(tunnel, odps, table):
    t = table("id bigint")
    odps.write_table(t, [[1]])
    with pytest.raises((errors.ODPSError, ValueError)):
        with t.open_reader(columns=["nosuch"]) as reader:
            list(reader)


@pytest.mark.smoke
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compressed_records_in_compressed_arrow_out(tunnel, table, algorithm):
    t = table("id bigint, s string")
    option = CompressOption(algorithm)
    session = tunnel.create_upload_session(t.name, compress_option=option)
    with session.open_record_writer(0, compress=True) as writer:
        for i in range(2000):
            writer.write(session.new_record([i, f"text {i % 7}"]))
    session.commit([0])
    down = tunnel.create_download_session(t.name, compress_option=option)
    with down.open_arrow_reader(500, 1000, compress=True) as reader:
        got = pa.Table.from_batches(list(reader))
    assert got.column("id").to_pylist() == list(range(500, 1500))
    assert got.column("s").to_pylist()[0] == "text 3"


@pytest.mark.smoke
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compressed_arrow_in_compressed_records_out(tunnel, table, algorithm):
    t = table("id bigint, s string")
    option = CompressOption(algorithm)
    session = tunnel.create_upload_session(t.name, compress_option=option)
    with session.open_arrow_writer(0, compress=True) as writer:
        writer.write(pa.RecordBatch.from_arrays([pa.array(range(2000)), pa.array([f"text {i % 7}" for i in range(2000)])], names=["id", "s"]))
    session.commit([0])
    down = tunnel.create_download_session(t.name, compress_option=option)
    with down.open_record_reader(1990, 100, compress=True, columns=["s"]) as reader:
        assert [r["s"] for r in reader] == [f"text {i % 7}" for i in range(1990, 2000)]


@pytest.mark.parametrize("level", [1, 9])
def test_zlib_levels(tunnel, table, level):
    t = table("s string")
    session = tunnel.create_upload_session(t.name, compress_algo="zlib", compress_level=level)
    with session.open_record_writer(0, compress=True) as writer:
        writer.write(session.new_record(["x" * 100000]))
    session.commit([0])
    assert read(tunnel, t.name) == [["x" * 100000]]


@pytest.mark.smoke
def test_stream_pack_is_visible_at_once(odps, tunnel, table):
    t = table("id bigint, s string")
    session = tunnel.create_stream_upload_session(t.name)
    with session.open_record_writer() as writer:
        writer.write(session.new_record([1, "a"]))
        writer.write(session.new_record([2, "b"]))
    with session.open_record_writer() as writer:
        writer.write(session.new_record([3, "c"]))
    session.reload()
    with t.open_reader(arrow=True, columns=["s"]) as reader:
        assert reader.read_all().column("s").to_pylist() == ["a", "b", "c"]


def test_stream_packs_by_buffer_size(odps, tunnel, table):
    t = table("id bigint, s string")
    session = tunnel.create_stream_upload_session(t.name)
    options.tunnel.block_buffer_size = 2048
    with session.open_record_writer() as writer:
        for i in range(500):
            writer.write(session.new_record([i, "x" * 40]))
    with odps.execute_sql(f"select count(*), count(distinct id), sum(id) from {t.name}").open_reader(tunnel=True) as reader:
        assert [list(r.values) for r in reader] == [[500, 500, 124750]]


def test_stream_into_a_new_partition(tunnel, table):
    t = table(("id bigint", "dt string"))
    session = tunnel.create_stream_upload_session(t.name, partition_spec="dt=1", create_partition=True)
    with session.open_record_writer() as writer:
        writer.write(session.new_record([5]))
    assert [str(p.partition_spec) for p in t.partitions] == ["dt='1'"]
    assert read(tunnel, t.name, partition_spec="dt=1") == [[5, "1"]]


# PyODPS ends an LZ4 stream twice when it sends a buffer, and fails on that: "No compression context supplied".
@pytest.mark.parametrize("algorithm", ["zlib", "zstd", "snappy"])
def test_compressed_stream(tunnel, table, algorithm):
    t = table("id bigint")
    session = tunnel.create_stream_upload_session(t.name, compress_algo=algorithm)
    with session.open_record_writer(compress=True) as writer:
        for i in range(10):
            writer.write(session.new_record([i]))
    assert read(tunnel, t.name) == [[i] for i in range(10)]


def test_stream_session_is_given_up(tunnel, table):
    t = table("id bigint")
    session = tunnel.create_stream_upload_session(t.name)
    session.abort()
    assert read(tunnel, t.name) == []


def test_preview_of_a_partition(odps, tunnel, table):
    t = table(("id bigint, s string", "dt string"))
    odps.write_table(t, [[i, f"n{i}"] for i in range(100)], partition="dt=1", create_partition=True)
    with tunnel.open_preview_reader(t, partition_spec="dt=1", limit=5, columns=["s"]) as reader:
        assert pa.Table.from_batches(list(reader)).column("s").to_pylist() == ["n0", "n1", "n2", "n3", "n4"]
    with tunnel.open_preview_reader(t, partition_spec="dt=1", limit=2, arrow=False) as reader:
        assert [r["id"] for r in reader] == [0, 1]


@pytest.mark.parametrize("algorithm", ["zstd", "lz4"])
def test_compressed_preview(odps, tunnel, table, algorithm):
    t = table("id bigint")
    odps.write_table(t, [[i] for i in range(100)])
    with tunnel.open_preview_reader(t, limit=3, compress_algo=algorithm) as reader:
        assert pa.Table.from_batches(list(reader)).column("id").to_pylist() == [0, 1, 2]


def test_named_quota_is_taken_as_it_is(odps, table):
    t = table("id bigint")
    tunnel = TableTunnel(odps, quota_name="some_quota")
    session = tunnel.create_upload_session(t.name)
    put(session, 0, [[1]])
    session.commit([0])
    assert read(tunnel, t.name) == [[1]]


def test_chunk_size_of_arrow_is_the_clients_choice(odps, tunnel, table):
    t = table("id bigint, s string")
    options.chunk_size = 1000
    session = tunnel.create_upload_session(t.name)
    with session.open_arrow_writer(0) as writer:
        writer.write(pa.RecordBatch.from_arrays([pa.array(range(500)), pa.array(["y" * 20] * 500)], names=["id", "s"]))
    session.commit([0])
    options.chunk_size = 65536
    assert read(tunnel, t.name)[499] == [499, "y" * 20]


def test_arrow_of_another_layout_is_refused(tunnel, table):
    t = table("id bigint, s string")
    session = tunnel.create_upload_session(t.name)
    with pytest.raises((errors.ODPSError, ValueError, pa.ArrowException)):
        with session.open_arrow_writer(0) as writer:
            writer.write(pa.RecordBatch.from_arrays([pa.array(["x"])], names=["s2"]))
    assert session.get_block_list() == []
