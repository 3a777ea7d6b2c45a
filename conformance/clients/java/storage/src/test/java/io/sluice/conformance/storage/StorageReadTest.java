package io.sluice.conformance.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Odps;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.configuration.ArrowOptions;
import com.aliyun.odps.table.configuration.CompressionCodec;
import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.enviroment.Credentials;
import com.aliyun.odps.table.enviroment.EnvironmentSettings;
import com.aliyun.odps.table.optimizer.predicate.Attribute;
import com.aliyun.odps.table.optimizer.predicate.BinaryPredicate;
import com.aliyun.odps.table.optimizer.predicate.CompoundPredicate;
import com.aliyun.odps.table.optimizer.predicate.Constant;
import com.aliyun.odps.table.optimizer.predicate.InPredicate;
import com.aliyun.odps.table.optimizer.predicate.Predicate;
import com.aliyun.odps.table.optimizer.predicate.RawPredicate;
import com.aliyun.odps.table.optimizer.predicate.UnaryPredicate;
import com.aliyun.odps.table.read.SplitReader;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.read.split.InputSplit;
import com.aliyun.odps.task.SQLTask;
import io.sluice.conformance.endpoint.Endpoint;
import java.io.IOException;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The read side of the Storage API, by the client that Spark and others build on; SQL wrote the rows. */
class StorageReadTest {
  private Odps odps;
  private EnvironmentSettings settings;
  private String table;

  @BeforeEach
  void fill(Endpoint endpoint) throws Exception {
    odps = new Odps(new AliyunAccount(Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY));
    odps.setEndpoint(endpoint.url());
    odps.setDefaultProject(Endpoint.PROJECT);
    settings = EnvironmentSettings.newBuilder().withServiceEndpoint(endpoint.url()).withDefaultProject(Endpoint.PROJECT)
        .withCredentials(Credentials.newBuilder().withAccount(odps.getAccount()).build()).build();
    table = Endpoint.unique("storage");
    run("create table " + table + " (id bigint, name string, price double) partitioned by (pt string)");
    // 0 to 99 in partition a, 100 to 149 in partition b; every tenth name is NULL.
    for (String[] part : new String[][] {{"a", "0", "100"}, {"b", "100", "150"}}) {
      String rows = LongStream.range(Long.parseLong(part[1]), Long.parseLong(part[2])).mapToObj(id -> "(" + id + "L, " + (id % 10 == 0 ? "null" : "'n" + id + "'") + ", " + id / 4.0 + ")")
          .reduce((left, right) -> left + ", " + right).orElseThrow();
      run("insert into " + table + " partition (pt='" + part[0] + "') values " + rows);
    }
  }

  private void run(String sql) throws Exception {
    SQLTask.run(odps, sql + ";").waitForSuccess(20);
  }

  private TableReadSessionBuilder session() {
    return new TableReadSessionBuilder().identifier(TableIdentifier.of(Endpoint.PROJECT, table)).withSettings(settings)
        .withArrowOptions(ArrowOptions.createDefault()).withSplitOptions(SplitOptions.createDefault());
  }

  private ReaderOptions.Builder options() {
    return ReaderOptions.newBuilder().withSettings(settings);
  }

  private List<List<Object>> records(TableBatchReadSession session, InputSplit split) throws Exception {
    List<List<Object>> rows = new ArrayList<>();
    try (SplitReader<ArrayRecord> reader = session.createRecordReader(split, options().build())) {
      while (reader.hasNext()) {
        ArrayRecord record = reader.get();
        List<Object> row = new ArrayList<>();
        for (int i = 0; i < record.getColumnCount(); i++) {
          row.add(record.get(i) instanceof byte[] ? record.getString(i) : record.get(i));
        }
        rows.add(row);
      }
    }
    return rows;
  }

  private List<List<Object>> all(TableBatchReadSession session) throws Exception {
    List<List<Object>> rows = new ArrayList<>();
    for (InputSplit split : session.getInputSplitAssigner().getAllSplits()) {
      rows.addAll(records(session, split));
    }
    return rows;
  }

  private static List<Object> row(Object... values) {
    return Arrays.asList(values);
  }

  @Test
  @Tag("smoke")
  void readsTheChosenColumnsOfTheChosenPartitions() throws Exception {
    TableBatchReadSession session = session().requiredDataColumns(List.of("name", "id")).requiredPartitionColumns(List.of("pt"))
        .requiredPartitions(List.of(new PartitionSpec("pt='b'"))).buildBatchReadSession();
    List<String> names = session.readSchema().getColumnNames();
    List<List<Object>> rows = all(session);
    assertEquals(50, rows.size());
    assertEquals(List.of("id", "name", "pt"), names.stream().sorted().toList());
    List<Object> second = rows.get(1);
    assertEquals(101L, second.get(names.indexOf("id")));
    assertEquals("n101", second.get(names.indexOf("name")));
    assertEquals("b", second.get(names.indexOf("pt")));
    assertEquals(null, rows.get(0).get(names.indexOf("name")));
  }

  @Test
  void splitsByRowOffsets() throws Exception {
    TableBatchReadSession session = session().requiredDataColumns(List.of("id")).withSplitOptions(SplitOptions.newBuilder().SplitByRowOffset().build()).buildBatchReadSession();
    assertEquals(150, session.getInputSplitAssigner().getTotalRowCount());
    List<List<Object>> rows = new ArrayList<>();
    for (long start = 0; start < 150; start += 40) {
      rows.addAll(records(session, session.getInputSplitAssigner().getSplitByRowOffset(start, Math.min(40, 150 - start))));
    }
    assertEquals(LongStream.range(0, 150).boxed().toList(), rows.stream().map(row -> (Long) row.get(0)).toList());
    assertEquals(List.of(99L, 100L), records(session, session.getInputSplitAssigner().getSplitByRowOffset(99, 2)).stream().map(row -> (Long) row.get(0)).toList());
  }

  @Test
  void splitsByParallelismEachRowOnce() throws Exception {
    TableBatchReadSession session = session().requiredDataColumns(List.of("id")).withSplitOptions(SplitOptions.newBuilder().SplitByParallelism(4).build()).buildBatchReadSession();
    assertTrue(session.getInputSplitAssigner().getSplitsCount() > 1, () -> "splits: " + session);
    assertEquals(LongStream.range(0, 150).boxed().toList(), all(session).stream().map(row -> (Long) row.get(0)).sorted().toList());
  }

  @Test
  void continuesASessionByItsId() throws Exception {
    TableBatchReadSession first = session().requiredDataColumns(List.of("id")).buildBatchReadSession();
    run("insert overwrite table " + table + " partition (pt='a') values (-1L, 'new', 0.0D)");
    TableBatchReadSession second = new TableReadSessionBuilder().identifier(TableIdentifier.of(Endpoint.PROJECT, table)).withSettings(settings).withSessionId(first.getId()).buildBatchReadSession();
    assertEquals(150, all(second).size(), "rows of the moment the session began");
  }

  static Stream<Arguments> filters() {
    Attribute id = Attribute.of("id");
    Attribute name = Attribute.of("name");
    return Stream.of(
        Arguments.of(BinaryPredicate.equals(id, Constant.of(7)), List.of(7L)),
        Arguments.of(BinaryPredicate.equals(name, Constant.of("n149")), List.of(149L)),
        Arguments.of(BinaryPredicate.lessThan(id, Constant.of(2)), List.of(0L, 1L)),
        Arguments.of(BinaryPredicate.greaterThanOrEqual(Attribute.of("price"), Constant.of(37.0)), List.of(148L, 149L)),
        Arguments.of(CompoundPredicate.and(UnaryPredicate.isNull(name), BinaryPredicate.greaterThan(id, Constant.of(130))), List.of(140L)),
        Arguments.of(InPredicate.in(id, List.of(Constant.of(3), Constant.of(99), Constant.of(500))), List.of(3L, 99L)),
        Arguments.of(CompoundPredicate.and(CompoundPredicate.or(BinaryPredicate.equals(id, Constant.of(1)), BinaryPredicate.equals(id, Constant.of(2))),
            CompoundPredicate.not(BinaryPredicate.equals(name, Constant.of("n2")))), List.of(1L)),
        Arguments.of(BinaryPredicate.equals(Attribute.of("pt"), Constant.of("c")), List.of()),
        Arguments.of(RawPredicate.of("id % 50 = 1 and pt = 'b'"), List.of(101L)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("filters")
  void appliesFilters(Predicate filter, List<Long> want) throws Exception {
    TableBatchReadSession session = session().requiredDataColumns(List.of("id")).withFilterPredicate(filter).buildBatchReadSession();
    assertEquals(want, all(session).stream().map(row -> (Long) row.get(0)).sorted().toList());
  }

  @ParameterizedTest
  @EnumSource(CompressionCodec.class)
  void readsBatchesInEveryCompression(CompressionCodec codec) throws Exception {
    TableBatchReadSession session = session().requiredDataColumns(List.of("id")).requiredPartitions(List.of(new PartitionSpec("pt='a'"))).buildBatchReadSession();
    List<Long> ids = new ArrayList<>();
    try (BufferAllocator allocator = new RootAllocator()) {
      for (InputSplit split : session.getInputSplitAssigner().getAllSplits()) {
        try (SplitReader<VectorSchemaRoot> reader =
            session.createArrowReader(split, options().withBufferAllocator(allocator).withMaxBatchRowCount(30).withCompressionCodec(codec).withReuseBatch(true).build())) {
          while (reader.hasNext()) {
            VectorSchemaRoot root = reader.get();
            assertTrue(root.getRowCount() <= 30, () -> "a batch of " + root.getRowCount() + " rows");
            BigIntVector vector = (BigIntVector) root.getVector("id");
            for (int i = 0; i < root.getRowCount(); i++) {
              ids.add(vector.get(i));
            }
          }
        }
      }
    }
    assertEquals(LongStream.range(0, 100).boxed().toList(), ids);
  }

  @Test
  void readsEveryType() throws Exception {
    table = Endpoint.unique("types");
    run("create table " + table + " (a tinyint, b int, c float, d decimal(10,2), e binary, f boolean, g date, h datetime, i timestamp, j timestamp_ntz, k array<bigint>, l map<string,bigint>, "
        + "m struct<x:bigint,y:string>, n char(3))");
    run("insert into " + table + " select cast(1 as tinyint), 2, cast(0.5 as float), 12.34BD, unhex('00ff'), true, date '1969-12-31', datetime '2024-01-02 03:04:05', "
        + "timestamp '2024-01-02 03:04:05.678901234', cast('2024-01-02 03:04:05.678901234' as timestamp_ntz), array(1L, null), map('k', 7L), named_struct('x', 1L, 'y', 'z'), cast('abc' as char(3))");
    List<Object> got = all(session().buildBatchReadSession()).get(0);
    assertEquals(row((byte) 1, 2, 0.5f), got.subList(0, 3));
    assertEquals(0, new java.math.BigDecimal("12.34").compareTo((java.math.BigDecimal) got.get(3)));
    assertArrayEquals(new byte[] {0, -1}, ((com.aliyun.odps.data.Binary) got.get(4)).data());
    assertEquals(true, got.get(5));
    assertEquals(java.time.LocalDate.of(1969, 12, 31), got.get(6));
    assertEquals(java.time.Instant.parse("2024-01-02T03:04:05Z"), ((java.time.ZonedDateTime) got.get(7)).toInstant());
    assertEquals(java.time.Instant.parse("2024-01-02T03:04:05.678901234Z"), got.get(8));
    assertEquals(LocalDateTime.parse("2024-01-02T03:04:05.678901234"), got.get(9));
    assertEquals(row(1L, null), got.get(10));
    java.util.Map.Entry<?, ?> entry = ((java.util.Map<?, ?>) got.get(11)).entrySet().iterator().next();
    assertArrayEquals(new byte[] {'k'}, (byte[]) entry.getKey()); // so the client gives text within nested values
    assertEquals(7L, entry.getValue());
    List<Object> fields = ((com.aliyun.odps.data.Struct) got.get(12)).getFieldValues();
    assertEquals(1L, fields.get(0));
    assertArrayEquals(new byte[] {'z'}, (byte[]) fields.get(1));
    assertEquals("abc", got.get(13).toString());
  }

  @Test
  void refusesWhatIsNotThere() throws Exception {
    assertThrows(IOException.class, () -> session().requiredDataColumns(List.of("stranger")).buildBatchReadSession());
    assertThrows(IOException.class, () -> session().requiredPartitions(List.of(new PartitionSpec("pt='none'"))).buildBatchReadSession());
    assertThrows(IOException.class, () -> session().withFilterPredicate(RawPredicate.of("no such ( filter")).buildBatchReadSession());
    table = "no_such_table";
    assertThrows(IOException.class, () -> session().buildBatchReadSession());
    assertFalse(odps.tables().exists(table));
  }
}
