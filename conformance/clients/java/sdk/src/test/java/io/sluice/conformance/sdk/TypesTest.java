package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.drain;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.aliyun.odps.TableSchema;
import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.IntervalDayTime;
import com.aliyun.odps.data.IntervalYearMonth;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.data.SimpleJsonValue;
import com.aliyun.odps.data.SimpleStruct;
import com.aliyun.odps.data.Varchar;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfoParser;
import io.sluice.conformance.endpoint.Endpoint;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Values of each type: written by the SDK and read by SQL, or the other way round. The JVM's zone is UTC+5:45. */
class TypesTest {
  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  private List<Object> first(String sql) throws Exception {
    return client.query(sql).get(0);
  }

  private static ZonedDateTime local(String utc) {
    return Instant.parse(utc).atZone(ZoneId.systemDefault());
  }

  @Test
  void keepsDatetimesInUtcWhateverTheZone() throws Exception {
    assertEquals("Asia/Kathmandu", ZoneId.systemDefault().getId());
    String table = client.table("d datetime)");
    client.insert(table, row(local("2024-01-02T03:04:05.678Z")), row(local("1969-12-31T23:59:59.999Z")), row(local("0001-01-01T00:00:00Z")),
        row(local("9999-12-31T23:59:59.999Z")));
    assertEquals(List.of(row("2024-01-02 03:04:05.678"), row("1969-12-31 23:59:59.999"), row("0001-01-01 00:00:00.000"), row("9999-12-31 23:59:59.999")),
        client.query("select date_format(d, 'yyyy-MM-dd HH:mi:ss.SSS') from " + table + ";"));
    client.run("insert overwrite table " + table + " values (datetime '2024-07-01 12:00:00');");
    assertEquals(List.of(row(local("2024-07-01T12:00:00Z"))), drain(client.download(table).openRecordReader(0, 1)));
  }

  @Test
  void keepsDatesFromYear1To9999() throws Exception {
    String table = client.table("d date)");
    client.insert(table, row(LocalDate.of(1, 1, 1)), row(LocalDate.of(1582, 10, 10)), row(LocalDate.of(1969, 12, 31)), row(LocalDate.of(9999, 12, 31)));
    assertEquals(List.of(row("0001-01-01"), row("1582-10-10"), row("1969-12-31"), row("9999-12-31")), client.query("select cast(d as string) from " + table + ";"));
    assertEquals(List.of(row(LocalDate.of(1969, 12, 31))), client.query("select d from " + table + " where d < date '1970-01-01' and d > date '1600-01-01';"));
  }

  @Test
  void keepsNanosecondsOfTimestamps() throws Exception {
    String table = client.table("t timestamp, n timestamp_ntz)");
    client.insert(table, row(Instant.parse("2024-01-02T03:04:05.678901234Z"), LocalDateTime.parse("2024-01-02T03:04:05.678901234")),
        row(Instant.parse("1969-12-31T23:59:59.000000001Z"), LocalDateTime.parse("1969-12-31T23:59:59.999999999")));
    assertEquals(List.of(row(Instant.parse("2024-01-02T03:04:05.678901234Z"), LocalDateTime.parse("2024-01-02T03:04:05.678901234"))),
        client.query("select t, n from " + table + " where t = timestamp '2024-01-02 03:04:05.678901234';"));
    assertEquals(List.of(row(Instant.parse("1969-12-31T23:59:59.000000001Z"), LocalDateTime.parse("1969-12-31T23:59:59.999999999"))),
        client.query("select t, n from " + table + " order by n limit 1;"));
    // Beyond what nanoseconds in 64 bits can hold.
    String wide = client.table("t timestamp)");
    client.insert(wide, row(Instant.parse("0001-01-01T00:00:00Z")), row(Instant.parse("9999-12-31T23:59:59.999999999Z")));
    assertEquals(List.of(row(Instant.parse("9999-12-31T23:59:59.999999999Z"))), drain(client.download(wide).openRecordReader(1, 1)));
  }

  @Test
  void keepsIntegersAtTheirEnds() throws Exception {
    String table = client.table("a tinyint, b smallint, c int, d bigint)");
    client.insert(table, row(Byte.MIN_VALUE, Short.MIN_VALUE, Integer.MIN_VALUE, -Long.MAX_VALUE), row(Byte.MAX_VALUE, Short.MAX_VALUE, Integer.MAX_VALUE, Long.MAX_VALUE));
    assertEquals(List.of(row("-128", "-32768", "-2147483648", "-9223372036854775807"), row("127", "32767", "2147483647", "9223372036854775807")),
        client.query("select cast(a as string), cast(b as string), cast(c as string), cast(d as string) from " + table + ";"));
    assertEquals(row((byte) 127, (short) 32767, 2147483647, Long.MAX_VALUE), first("select max(a), max(b), max(c), max(d) from " + table + ";"));
    Record record = client.upload(table).newRecord();
    assertThrows(IllegalArgumentException.class, () -> record.set(3, Long.MIN_VALUE), "the SDK takes no -2^63");
  }

  @Test
  void keepsFloatingPointBits() throws Exception {
    String table = client.table("id bigint, f float, d double)");
    double[] values = {0.0, -0.0, Double.MIN_VALUE, Double.MAX_VALUE, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0.1};
    List<?>[] rows = new List<?>[values.length];
    for (int i = 0; i < values.length; i++) {
      rows[i] = row((long) i, (float) values[i], values[i]);
    }
    client.insert(table, rows);
    List<List<Object>> got = client.query("select d, f from " + table + " order by id;");
    for (int i = 0; i < values.length; i++) {
      assertEquals(Double.doubleToLongBits(values[i]), Double.doubleToLongBits((Double) got.get(i).get(0)), "double " + values[i]);
      assertEquals(Float.floatToIntBits((float) values[i]), Float.floatToIntBits((Float) got.get(i).get(1)), "float " + values[i]);
    }
  }

  @Test
  void keepsDecimalsOf38Digits() throws Exception {
    String table = client.table("a decimal(38,18), b decimal(10,2), c decimal(38,0))");
    String big = "99999999999999999999.999999999999999999";
    client.insert(table, row(new BigDecimal(big), new BigDecimal("-0.01"), new BigDecimal("-99999999999999999999999999999999999999")), row(new BigDecimal("1E-18"), new BigDecimal("12.5"), BigDecimal.ZERO));
    assertEquals(row(big, "-0.01"), first("select cast(a as string), cast(b as string) from " + table + " where c < 0;"));
    assertEquals(0, new BigDecimal("12.49").compareTo((BigDecimal) first("select sum(b) from " + table + ";").get(0)));
    List<Object> second = drain(client.download(table).openRecordReader(1, 1)).get(0);
    assertEquals(0, new BigDecimal("0.000000000000000001").compareTo((BigDecimal) second.get(0)));
    assertEquals(0, new BigDecimal("12.5").compareTo((BigDecimal) second.get(1)));
    assertThrows(IllegalArgumentException.class, () -> client.upload(table).newRecord().set(1, new BigDecimal("123456789")), "nine digits before the point of decimal(10,2)");
  }

  @Test
  void keepsTextAndBytes() throws Exception {
    String table = client.table("s string, c char(4), v varchar(4), b binary, j json)");
    client.insert(table, row("𝄞 'quoted' \"text\"\n\t\\", new Char("中文𝄞é"), new Varchar("中文𝄞é"), new Binary(new byte[] {0, -1, 39}), new SimpleJsonValue("{\"a\":[1,null]}")),
        row("", new Char(""), new Varchar(""), new Binary(new byte[0]), new SimpleJsonValue("\"x\"")));
    assertEquals(row("𝄞 'quoted' \"text\"\n\t\\", 4L, 4L, 3L), first("select s, length(c), length(v), length(b) from " + table + " where s <> '';").stream()
        .map(v -> v instanceof Number n ? (Object) n.longValue() : v).toList());
    try (RecordReader reader = client.download(table).openRecordReader(0, 2)) {
      Record record = reader.read();
      assertEquals("中文𝄞é", ((Char) record.get("c")).getValue());
      assertEquals("中文𝄞é", ((Varchar) record.get("v")).getValue());
      assertArrayEquals(new byte[] {0, -1, 39}, ((Binary) record.get("b")).data());
      assertEquals("{\"a\":[1,null]}", record.get("j").toString());
      Record empty = reader.read();
      assertEquals("", empty.getString("s"));
      assertEquals(0, ((Binary) empty.get("b")).length());
    }
  }

  @Test
  void keepsIntervals() throws Exception {
    String table = client.table("d interval_day_time, m interval_year_month)");
    client.insert(table, row(new IntervalDayTime(86_401, 500_000_001), new IntervalYearMonth(14)), row(new IntervalDayTime(-1, -1), new IntervalYearMonth(-14)));
    String copy = Endpoint.unique("copy");
    client.run("create table " + copy + " as select m, d from " + table + ";");
    List<List<Object>> rows = drain(client.download(copy).openRecordReader(0, 2));
    assertEquals(row(new IntervalYearMonth(14), new IntervalDayTime(86_401, 500_000_001)), rows.get(0));
    assertEquals(new IntervalYearMonth(-14), rows.get(1).get(0));
    // The SDK's equals takes one value in two forms for different.
    IntervalDayTime negative = (IntervalDayTime) rows.get(1).get(1);
    assertEquals(-1_000_000_001L, negative.getTotalSeconds() * 1_000_000_000 + negative.getNanos());
  }

  @Test
  void keepsNestedValues() throws Exception {
    String type = "struct<id:bigint,tags:array<string>,points:map<string,array<struct<x:double,at:timestamp>>>>";
    StructTypeInfo struct = (StructTypeInfo) TypeInfoParser.getTypeInfoFromTypeString(type);
    StructTypeInfo point = (StructTypeInfo) TypeInfoParser.getTypeInfoFromTypeString("struct<x:double,at:timestamp>");
    Map<String, Object> points = new LinkedHashMap<>();
    points.put("p", Arrays.asList(new SimpleStruct(point, Arrays.asList(0.5, Instant.parse("2024-01-02T03:04:05.000000006Z"))), null));
    points.put("none", null);
    String table = client.table("a array<bigint>, m map<string,bigint>, s " + type + ")");
    client.insert(table, row(Arrays.asList(1L, null, 3L), Map.of("k", 7L), new SimpleStruct(struct, Arrays.asList(9L, List.of("x", ""), points))),
        row(List.of(), Map.of(), new SimpleStruct(struct, Arrays.asList(null, List.of(), Map.of()))), row(null, null, null));
    assertEquals(row(1L, 7L, 9L, "x", 0.5), first("select a[0], m['k'], s.id, s.tags[0], s.points['p'][0].x from " + table + " where size(a) = 3;"));
    DownloadSession session = client.download(table);
    List<List<Object>> rows = drain(session.openRecordReader(0, 3));
    assertEquals(Arrays.asList(1L, null, 3L), rows.get(0).get(0));
    assertEquals(points, ((SimpleStruct) rows.get(0).get(2)).getFieldValue("points"));
    assertEquals(List.of(), rows.get(1).get(0));
    assertEquals(Map.of(), rows.get(1).get(1));
    assertEquals(row(null, null, null), rows.get(2));
  }

  @Test
  void refusesTextThatIsLongerThanItsColumn() throws Exception {
    String table = client.table("id bigint, s varchar(3))");
    UploadSession session = client.upload(table);
    Record record = session.newRecord();
    assertThrows(RuntimeException.class, () -> record.set(1, new Varchar("four")));
    // A table that was narrower all along, seen by a client that believes otherwise.
    TableSchema wider = TableSchema.builder().withBigintColumn("id").withStringColumn("s").build();
    ArrayRecord wide = new ArrayRecord(wider);
    wide.set(0, 1L);
    wide.set(1, "longer than three");
    assertThrows(Exception.class, () -> {
      try (RecordWriter writer = session.openRecordWriter(0)) {
        writer.write(wide);
      }
    });
    assertEquals(0, session.getBlockList().length);
  }

  @Test
  void readsWhatSqlComputes() throws Exception {
    assertEquals(row(Instant.parse("2024-01-02T00:00:00Z")), first("select cast('2024-01-02 00:00:00' as timestamp) as t;"));
    assertEquals(row(3L, "ab", null, true, 0.5), first("select 1L + 2L, concat('a', 'b'), cast(null as bigint), 1 < 2, 1 / 2.0 as half;"));
  }
}
