package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.data.ArrowRecordReader;
import com.aliyun.odps.data.ArrowRecordWriter;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import io.sluice.conformance.endpoint.Endpoint;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.DateDayVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Record batches in, records and SQL out, and the other way round; every type of it is in the cross-client matrix. */
class ArrowTest {
  private static final CompressOption RAW = new CompressOption(CompressAlgorithm.ODPS_RAW, 0, 0);

  private final BufferAllocator allocator = new RootAllocator();
  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  @AfterEach
  void leaveNoMemory() {
    allocator.close();
  }

  /** Writes ids from (inclusive) to (exclusive) with names, every fifth name NULL, in batches of 1,000 rows. */
  private void block(UploadSession session, long block, int from, int to, CompressOption option) throws Exception {
    try (VectorSchemaRoot root = VectorSchemaRoot.create(session.getArrowSchema(), allocator); ArrowRecordWriter writer = session.openArrowRecordWriter(block, option)) {
      for (int start = from; start < to; start += 1000) {
        int rows = Math.min(1000, to - start);
        root.allocateNew();
        for (int i = 0; i < rows; i++) {
          ((BigIntVector) root.getVector("id")).setSafe(i, start + i);
          if ((start + i) % 5 == 0) {
            ((VarCharVector) root.getVector("name")).setNull(i);
          } else {
            ((VarCharVector) root.getVector("name")).setSafe(i, ("n" + (start + i)).getBytes(StandardCharsets.UTF_8));
          }
        }
        root.setRowCount(rows);
        writer.write(root);
      }
    }
  }

  private static List<Object> column(VectorSchemaRoot root, String name) {
    FieldVector vector = root.getVector(name);
    List<Object> values = new ArrayList<>();
    for (int i = 0; i < vector.getValueCount(); i++) {
      Object value = vector.getObject(i);
      values.add(value instanceof org.apache.arrow.vector.util.Text ? value.toString() : value);
    }
    return values;
  }

  private static List<Object> drain(ArrowRecordReader reader, String column) throws Exception {
    List<Object> values = new ArrayList<>();
    try (reader) {
      for (VectorSchemaRoot batch = reader.read(); batch != null; batch = reader.read()) {
        try (VectorSchemaRoot root = batch) {
          values.addAll(column(root, column));
        }
      }
    }
    return values;
  }

  @Tag("smoke")
  @ParameterizedTest
  @EnumSource(value = CompressAlgorithm.class, names = {"ODPS_RAW", "ODPS_ZLIB", "ODPS_SNAPPY", "ODPS_ARROW_LZ4_FRAME"})
  void writesBatchesThatRecordsAndSqlRead(CompressAlgorithm algorithm) throws Exception {
    String table = client.table("id bigint, name string)");
    UploadSession session = client.upload(table);
    block(session, 1, 3000, 3500, new CompressOption(algorithm, 1, 0));
    block(session, 0, 0, 3000, new CompressOption(algorithm, 1, 0));
    session.commit(new Long[] {0L, 1L});
    DownloadSession download = client.download(table);
    assertEquals(List.of(row(2999L, "n2999"), row(3000L, null), row(3001L, "n3001")), Client.drain(download.openRecordReader(2999, 3)));
    assertEquals(List.of(row(3500L, 2800L, 6_123_250L)), client.query("select count(*), count(name), sum(id) from " + table + ";"));
    // And back as batches, one column, a range, compressed.
    List<Object> names = drain(download.openArrowRecordReader(2998, 4, List.of(download.getSchema().getColumn("name")), allocator, new CompressOption(algorithm, 1, 0)), "name");
    assertEquals(row("n2998", "n2999", null, "n3001"), names);
  }

  @Test
  void readsWhatRecordsWrote() throws Exception {
    String table = client.table("a decimal(10,2), b date, c array<string>, d string)");
    client.insert(table, row(new BigDecimal("-1.50"), LocalDate.of(1969, 12, 31), List.of("x", "y"), "one"), row(null, null, null, null), row(new BigDecimal("2"), LocalDate.of(9999, 12, 31), List.of(), ""));
    DownloadSession session = client.download(table);
    try (ArrowRecordReader reader = session.openArrowRecordReader(0, 3, allocator); VectorSchemaRoot root = reader.read()) {
      assertEquals(3, root.getRowCount());
      assertEquals(new BigDecimal("-1.50"), ((DecimalVector) root.getVector("a")).getObject(0));
      assertTrue(root.getVector("a").isNull(1));
      assertEquals(new BigDecimal("2.00"), ((DecimalVector) root.getVector("a")).getObject(2));
      assertEquals(-1, ((DateDayVector) root.getVector("b")).get(0));
      assertEquals("[[\"x\",\"y\"],null,[]]", column(root, "c").toString().replace(", ", ","));
      assertEquals(row("one", null, ""), column(root, "d"));
    }
    // In the order of the table, whatever the order of the request (protocol section 11).
    List<com.aliyun.odps.Column> two = List.of(session.getSchema().getColumn("b"), session.getSchema().getColumn("d"));
    assertEquals(row("one", null, ""), drain(session.openArrowRecordReader(0, 3, two, allocator, RAW), "d"));
    assertEquals(row(null, ""), drain(session.openArrowRecordReader(1, 2, two, allocator, RAW), "d"));
  }

  @Test
  void readsInBuffers() throws Exception {
    String table = client.table("id bigint, name string)");
    UploadSession session = client.upload(table);
    block(session, 0, 0, 10_000, RAW);
    session.commit(new Long[] {0L});
    DownloadSession download = client.download(table);
    List<Object> ids = drain(download.openBufferedArrowRecordReader(100, 9000, 4096, List.of(download.getSchema().getColumn("id")), allocator, RAW, false), "id");
    assertEquals(9000, ids.size());
    assertEquals(100L, ids.get(0));
    assertEquals(9099L, ids.get(8999));
  }

  @Test
  void writesABlockOfNoRows() throws Exception {
    String table = client.table("id bigint, name string)");
    UploadSession session = client.upload(table);
    block(session, 0, 0, 0, RAW);
    block(session, 1, 0, 1, RAW);
    session.commit(new Long[] {0L, 1L});
    assertEquals(List.of(row(1L)), client.query("select count(*) from " + table + ";"));
    client.run("truncate table " + table + ";");
    assertEquals(List.of(), drain(client.download(table).openArrowRecordReader(0, 0, allocator), "id"));
  }

  @Test
  void keepsTheBlockOfTheHighestVersion() throws Exception {
    String table = client.table("id bigint)");
    UploadSession session = client.upload(table);
    for (long version : new long[] {3, 8, 5}) {
      try (VectorSchemaRoot root = VectorSchemaRoot.create(session.getArrowSchema(), allocator); ArrowRecordWriter writer = session.openArrowRecordWriter(0, RAW, version)) {
        ((BigIntVector) root.getVector("id")).setSafe(0, version);
        root.setRowCount(1);
        writer.write(root);
      }
    }
    session.commit(new Long[] {0L});
    assertEquals(List.of(row(8L)), client.query("select id from " + table + ";"));
  }

  @Test
  void previewsAsAnArrowStream() throws Exception {
    String table = client.table("id bigint, t timestamp, d decimal(10,2)) partitioned by (pt string)");
    client.run("insert into " + table + " partition (pt='a') values (1L, timestamp '2024-01-02 03:04:05.678901234', 1.5BD), (2L, null, null);");
    try (ArrowStreamReader reader = client.tunnel().preview(Endpoint.PROJECT, null, table, "pt=a", 1L)) {
      assertTrue(reader.loadNextBatch());
      VectorSchemaRoot root = reader.getVectorSchemaRoot();
      assertEquals(List.of("id", "t", "d", "pt"), root.getSchema().getFields().stream().map(f -> f.getName()).toList());
      assertEquals(1, root.getRowCount());
      assertEquals(row(1L), column(root, "id"));
      assertEquals(row("a"), column(root, "pt"));
      assertEquals(false, reader.loadNextBatch());
    }
  }

  @Test
  void refusesBatchesOfAnotherTable() throws Exception {
    UploadSession target = client.upload(client.table("id bigint, name string)"));
    UploadSession other = client.upload(client.table("a string, b string, c string)"));
    assertThrows(Exception.class, () -> {
      try (VectorSchemaRoot root = VectorSchemaRoot.create(other.getArrowSchema(), allocator); ArrowRecordWriter writer = target.openArrowRecordWriter(0, RAW)) {
        root.allocateNew();
        for (String name : List.of("a", "b", "c")) {
          ((VarCharVector) root.getVector(name)).setSafe(0, name.getBytes(StandardCharsets.UTF_8));
        }
        root.setRowCount(1);
        writer.write(root);
      }
    });
    assertEquals(0, target.getBlockList().length);
  }
}
