"""Stream upload as PyODPS sees it: slots, several schema versions, partitions, faults."""

import pytest
from odps.errors import ODPSError
from odps.tunnel import TableTunnel


def rows_of(t, partition=None):
    with t.open_reader(partition=partition, reopen=True) as reader:
        return sorted((list(r.values) for r in reader), key=repr)


def put(session, *rows):
    """One pack, visible when this returns."""
    with session.open_record_writer() as writer:
        for row in rows:
            writer.write(session.new_record(row))


@pytest.mark.smoke
@pytest.mark.parametrize("slots", [0, 1, 5])
def test_a_session_has_the_slots_asked_for_and_each_pack_is_visible_at_once(odps, table, slots):
    t = table("id bigint, name string")
    session = TableTunnel(odps).create_stream_upload_session(t.name, slot_num=slots)
    assert len(session.slots) == max(slots, 1)
    want = []
    for i in range(7):
        put(session, [i, f"n{i}"])
        want.append([i, f"n{i}"])
        assert rows_of(t) == want
    session.reload()
    assert len(session.slots) == max(slots, 1)


# Not lz4: its record writer fails within the client ("No compression context supplied").
@pytest.mark.parametrize("algorithm", [None, "deflate", "snappy", "zstd"])
def test_packs_in_every_compression(odps, table, algorithm):
    from odps.tunnel import CompressOption

    t = table("id bigint, name string")
    option = None
    if algorithm:
        option = CompressOption(getattr(CompressOption.CompressAlgorithm, "ODPS_" + {"deflate": "ZLIB"}.get(algorithm, algorithm.upper())))
    session = TableTunnel(odps).create_stream_upload_session(t.name, compress_option=option)
    with session.open_record_writer(compress=option is not None) as writer:
        for i in range(500):
            writer.write(session.new_record([i, "中" * (i % 40)]))
    assert rows_of(t) == sorted(([i, "中" * (i % 40)] for i in range(500)), key=repr)


def test_an_older_schema_is_accepted_with_nulls_or_refused_as_asked(odps, table):
    t = table("id bigint")
    tunnel = TableTunnel(odps)
    lax = tunnel.create_stream_upload_session(t.name)
    strict = tunnel.create_stream_upload_session(t.name, allow_schema_mismatch=False)
    put(strict, [1])
    odps.execute_sql(f"alter table {t.name} add columns (name string)")
    put(lax, [2])
    with pytest.raises(ODPSError) as refused:
        put(strict, [3])
    assert refused.value.code == "SchemaModified"
    newer = tunnel.create_stream_upload_session(t.name, allow_schema_mismatch=False)
    put(newer, [4, "four"])
    assert rows_of(odps.get_table(t.name)) == [[1, None], [2, None], [4, "four"]]


def test_partitions_made_by_the_session(odps, table):
    t = table(("id bigint", "pt string"))
    tunnel = TableTunnel(odps)
    with pytest.raises(ODPSError) as missing:
        tunnel.create_stream_upload_session(t.name, partition_spec="pt=a")
    assert missing.value.code == "NoSuchPartition"
    put(tunnel.create_stream_upload_session(t.name, partition_spec="pt=a", create_partition=True), [1])
    assert rows_of(t, "pt=a") == [[1, "a"]]


def test_rows_that_name_their_partition(odps, table):
    t = table(("id bigint, v string", "pt string, hh bigint"))
    session = TableTunnel(odps).create_stream_upload_session(t.name, dynamic_partition=True)
    put(session, [1, "x", "a", 7], [2, None, "b", 8], [3, "z", "a", 7])
    assert rows_of(t, "pt=a,hh=7") == [[1, "x", "a", "7"], [3, "z", "a", "7"]]  # PyODPS shows partition values as text
    assert rows_of(t, "pt=b,hh=8") == [[2, None, "b", "8"]]


def test_an_unknown_session_is_named_as_such(odps, table):
    t = table("id bigint")
    with pytest.raises(ODPSError) as gone:
        TableTunnel(odps).create_stream_upload_session(t.name, upload_id="none")
    assert gone.value.code == "StreamSessionNotFound"


def test_a_moved_slot_is_no_success(endpoints, connect):
    odps = connect(endpoints("--faults", "11:308@stream.put=0.3,503@stream.create=0.2"))
    t = odps.create_table("moving", "id bigint")
    session = TableTunnel(odps).create_stream_upload_session(t.name, slot_num=4)
    sent, moved = [], 0
    for i in range(40):
        try:
            put(session, [i])
            sent.append([i])
        except KeyError as e:  # the client takes 308 for an answer to its pack, and stumbles over its headers
            assert "odps-tunnel-slot-num" in str(e)
            moved += 1
    assert moved and sent
    assert rows_of(t) == sorted(sent, key=repr)
