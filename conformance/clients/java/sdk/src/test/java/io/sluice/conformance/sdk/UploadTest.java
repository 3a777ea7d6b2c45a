package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.drain;
import static io.sluice.conformance.sdk.Client.record;
import static io.sluice.conformance.sdk.Client.refused;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.OdpsException;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.data.RecordPack;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadStatus;
import com.aliyun.odps.tunnel.TunnelException;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import com.aliyun.odps.tunnel.io.TunnelBufferedWriter;
import io.sluice.conformance.endpoint.Endpoint;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class UploadTest {
  private static final CompressOption RAW = new CompressOption(CompressAlgorithm.ODPS_RAW, 0, 0);

  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  /** Writes the ids from (inclusive) to (exclusive) as one block; the name column tells them in words of a sort. */
  private static void block(UploadSession session, long block, long from, long to) throws Exception {
    try (RecordWriter writer = session.openRecordWriter(block)) {
      write(session, writer, from, to);
    }
  }

  private static void write(UploadSession session, RecordWriter writer, long from, long to) throws IOException {
    for (long id = from; id < to; id++) {
      writer.write(record(session.newRecord(), row(id, "name " + id)));
    }
  }

  private String idAndName() throws OdpsException {
    return client.table("id bigint, name string)");
  }

  private List<Long> ids(String table) throws Exception {
    TableTunnel.DownloadSession session = client.download(table);
    return drain(session.openRecordReader(0, session.getRecordCount())).stream().map(row -> (Long) row.get(0)).toList();
  }

  private static List<Long> range(long from, long to) {
    return LongStream.range(from, to).boxed().toList();
  }

  @Test
  @Tag("smoke")
  void showsBlocksInTheOrderOfTheirNumbers() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    block(session, 7, 20, 30);
    block(session, 0, 0, 10);
    block(session, 3, 10, 20);
    assertEquals(List.of(), ids(table), "rows before the commit");
    session.commit(new Long[] {3L, 7L, 0L});
    assertEquals(range(0, 30), ids(table));
    TableTunnel.DownloadSession download = client.download(table);
    assertEquals(List.of(row("name 9"), row("name 10")),
        drain(download.openRecordReader(9, 2, RAW, List.of(download.getSchema().getColumn("name")))));
    assertEquals(List.of(row(435L, 30L)), client.query("select sum(id), count(distinct name) from " + table + ";"));
  }

  @Test
  void replacesABlockThatIsWrittenAgain() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    block(session, 0, 0, 100);
    block(session, 1, 100, 110);
    block(session, 0, 50, 53);
    session.commit(new Long[] {0L, 1L});
    assertEquals(List.of(50L, 51L, 52L, 100L), ids(table).subList(0, 4));
    assertEquals(13, ids(table).size());
  }

  @Test
  void keepsTheBlockOfTheHighestVersion() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    for (long version : new long[] {5, 9, 7}) {
      try (RecordWriter writer = session.openRecordWriter(0, RAW, version)) {
        write(session, writer, version, version + 1);
      }
    }
    session.commit(new Long[] {0L});
    assertEquals(List.of(9L), ids(table));
  }

  @ParameterizedTest
  @EnumSource(value = CompressAlgorithm.class, names = {"ODPS_RAW", "ODPS_ZLIB", "ODPS_SNAPPY", "ODPS_LZ4_FRAME", "ODPS_ZSTD"})
  void takesEveryCompression(CompressAlgorithm algorithm) throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    CompressOption option = new CompressOption(algorithm, 1, 0);
    try (RecordWriter writer = session.openRecordWriter(0, option)) {
      write(session, writer, 0, 5000);
    }
    session.commit(new Long[] {0L});
    TableTunnel.DownloadSession download = client.download(table);
    for (CompressAlgorithm other : List.of(CompressAlgorithm.ODPS_RAW, CompressAlgorithm.ODPS_SNAPPY, algorithm)) {
      List<List<Object>> rows = drain(download.openRecordReader(2500, 2, new CompressOption(other, 1, 0)));
      assertEquals(List.of(row(2500L, "name 2500"), row(2501L, "name 2501")), rows, () -> "read with " + other);
    }
    assertEquals(List.of(row(12_497_500L)), client.query("select sum(id) from " + table + ";"));
  }

  @Test
  void overwritesAndAppends() throws Exception {
    String table = idAndName();
    client.insert(table, row(1L, "old"));
    UploadSession append = client.upload(table);
    block(append, 0, 10, 12);
    append.commit(new Long[] {0L});
    assertEquals(List.of(1L, 10L, 11L), ids(table));
    UploadSession overwrite = client.tunnel().createUploadSession(Endpoint.PROJECT, table, true);
    block(overwrite, 0, 20, 22);
    assertEquals(List.of(1L, 10L, 11L), ids(table), "rows before the commit");
    overwrite.commit(new Long[] {0L});
    assertEquals(List.of(20L, 21L), ids(table));
    client.tunnel().createUploadSession(Endpoint.PROJECT, table, true).commit(new Long[0]);
    assertEquals(List.of(), ids(table));
  }

  @Test
  void overwritesOnePartitionOnly() throws Exception {
    String table = client.table("id bigint, name string) partitioned by (pt string)");
    for (String pt : List.of("a", "b", "a")) {
      client.odps.tables().get(table).createPartition(new PartitionSpec("pt='" + pt + "'"), true);
      UploadSession session = client.tunnel().createUploadSession(Endpoint.PROJECT, table, new PartitionSpec("pt='" + pt + "'"), true);
      block(session, 0, 0, pt.equals("a") ? 3 : 5);
      session.commit(new Long[] {0L});
    }
    assertEquals(List.of(row("a", 3L), row("b", 5L)), client.query("select pt, count(*) from " + table + " group by pt order by pt;"));
  }

  @Test
  void refusesToCommitOtherBlocksThanThereAre() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    block(session, 0, 0, 1);
    block(session, 1, 1, 2);
    for (Long[] blocks : List.of(new Long[] {0L}, new Long[] {0L, 2L}, new Long[] {0L, 1L, 2L}, new Long[] {})) {
      assertThrows(TunnelException.class, () -> session.commit(blocks), () -> Arrays.toString(blocks));
    }
    assertEquals(List.of(), ids(table));
    session.commit(new Long[] {0L, 1L});
    assertEquals(List.of(0L, 1L), ids(table));
  }

  @Test
  void continuesASessionByItsId(Endpoint endpoint) throws Exception {
    String table = idAndName();
    UploadSession mine = client.upload(table);
    block(mine, 4, 40, 41);
    UploadSession other = new Client(endpoint).tunnel().getUploadSession(Endpoint.PROJECT, table, mine.getId());
    assertEquals(UploadStatus.NORMAL, other.getStatus());
    assertEquals("BIGINT", other.getSchema().getColumn("id").getTypeInfo().getTypeName());
    block(other, 2, 20, 21);
    assertEquals(List.of(2L, 4L), Arrays.stream(mine.getBlockList()).sorted().toList());
    mine.commit(new Long[] {2L, 4L});
    assertEquals(UploadStatus.CLOSED, other.getStatus());
    other.commit(new Long[] {2L, 4L}); // again, as after a lost answer
    assertEquals(List.of(20L, 40L), ids(table));
    assertThrows(IOException.class, () -> block(other, 5, 0, 1), "a block after the commit");
    assertEquals(List.of(20L, 40L), ids(table));
  }

  @Test
  void takesARecordPackAsABlock() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    for (long block = 0; block < 3; block++) {
      RecordPack pack = session.newRecordPack(new CompressOption(CompressAlgorithm.ODPS_ZLIB, 5, 0));
      pack.append(record(session.newRecord(), row(block, null)));
      pack.append(record(session.newRecord(), row(null, "pack " + block)));
      session.writeBlock(block, pack);
    }
    session.commit(new Long[] {0L, 1L, 2L});
    assertEquals(List.of(row("pack 0"), row("pack 1"), row("pack 2")), client.query("select name from " + table + " where id is null order by name;"));
  }

  @Test
  void buffersBlocksBehindOneWriter() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    try (TunnelBufferedWriter writer = (TunnelBufferedWriter) session.openBufferedWriter(RAW)) {
      writer.setBufferSize(1 << 20);
      byte[] filler = new byte[1000];
      Arrays.fill(filler, (byte) 'x');
      for (long id = 0; id < 5000; id++) {
        writer.write(record(session.newRecord(), row(id, id % 2 == 0 ? filler : null)));
      }
    }
    assertTrue(session.getBlockList().length > 1, "blocks: " + session.getBlockList().length);
    session.commit();
    assertEquals(range(0, 5000), ids(table));
    assertEquals(List.of(row(2500L, 2_500_000L)), client.query("select count(name), sum(length(name)) from " + table + ";"));
  }

  @Test
  void buffersBlocksWithVersions() throws Exception {
    String table = idAndName();
    String id = client.upload(table).getId();
    for (long version : new long[] {2, 1}) { // each writer counts its blocks from 0
      UploadSession session = client.tunnel().getUploadSession(Endpoint.PROJECT, table, id);
      try (RecordWriter writer = session.openBufferedWriter(RAW, 0, block -> version)) {
        write(session, writer, 100 * version, 100 * version + 5);
      }
    }
    client.tunnel().getUploadSession(Endpoint.PROJECT, table, id).commit(new Long[] {0L});
    assertEquals(range(200, 205), ids(table));
  }

  @Test
  void leavesNothingOfABlockThatIsNotClosed() throws Exception {
    String table = idAndName();
    UploadSession session = client.upload(table);
    RecordWriter writer = session.openRecordWriter(0);
    write(session, writer, 0, 100_000);
    assertEquals(0, session.getBlockList().length);
    block(session, 1, 1, 2);
    session.commit(new Long[] {1L});
    assertEquals(List.of(1L), ids(table));
    assertThrows(IOException.class, writer::close, "the end of a block whose session is committed");
    assertEquals(List.of(1L), ids(table));
  }

  @Test
  void refusesWhatDoesNotFit() throws Exception {
    String plain = idAndName();
    String partitioned = client.table("id bigint) partitioned by (pt string)");
    refused("NoSuchTable", () -> client.upload("no_such_table"));
    refused("NoSuchPartition", () -> client.tunnel().createUploadSession(Endpoint.PROJECT, partitioned, new PartitionSpec("pt='none'")));
    refused("InvalidPartitionSpec", () -> client.upload(partitioned));
    refused("InvalidPartitionSpec", () -> client.tunnel().createUploadSession(Endpoint.PROJECT, plain, new PartitionSpec("pt='a'")));
    refused("NoSuchUpload", () -> client.tunnel().getUploadSession(Endpoint.PROJECT, plain, "no-such-session"));
    UploadSession session = client.upload(plain);
    assertThrows(OdpsException.class, () -> client.tunnel().getUploadSession(Endpoint.PROJECT, partitioned, session.getId()), "a session of another table");
    for (long block : new long[] {-1, 20_000}) {
      assertThrows(Exception.class, () -> block(session, block, 0, 1), () -> "block " + block);
    }
    block(session, 19_999, 0, 1);
    assertEquals(List.of(19_999L), List.of(session.getBlockList()));
  }

  @Test
  void refusesNullInAColumnThatTakesNone() throws Exception {
    String table = client.table("id bigint not null, name string)");
    UploadSession session = client.upload(table);
    assertFalse(session.getSchema().getColumn("id").isNullable());
    assertThrows(IOException.class, () -> {
      try (RecordWriter writer = session.openRecordWriter(0)) {
        writer.write(record(session.newRecord(), row(null, "x")));
      }
    });
    assertEquals(0, session.getBlockList().length);
  }
}
