package io.sluice.conformance.jdbc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.sluice.conformance.endpoint.Endpoint;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** MaxCompute's own JDBC driver, used as any program uses one: DriverManager and java.sql, nothing of the SDK. */
class DriverTest {
  private Connection connection;
  private Statement statement;

  @BeforeEach
  void connect(Endpoint endpoint) throws Exception {
    connection = DriverManager.getConnection("jdbc:odps:" + endpoint.url() + "?project=" + Endpoint.PROJECT, Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY);
    statement = connection.createStatement();
  }

  @AfterEach
  void close() throws Exception {
    statement.close();
    connection.close();
  }

  private List<String> column(ResultSet rows, String label) throws SQLException {
    List<String> values = new ArrayList<>();
    while (rows.next()) {
      values.add(rows.getString(label));
    }
    rows.close();
    return values;
  }

  private List<String> texts(String sql) throws SQLException {
    ResultSet rows = statement.executeQuery(sql);
    List<String> texts = new ArrayList<>();
    while (rows.next()) {
      List<String> row = new ArrayList<>();
      for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
        row.add(rows.getString(i));
      }
      texts.add(String.join("|", row.stream().map(String::valueOf).toList()));
    }
    rows.close();
    return texts;
  }

  @Test
  @Tag("smoke")
  void definesInsertsAndSelects() throws Exception {
    String table = Endpoint.unique("j");
    statement.executeUpdate("create table " + table + " (id bigint, name string)");
    assertEquals(2, statement.executeUpdate("insert into " + table + " values (1L, 'one'), (2L, null)"));
    assertEquals(List.of("2|null", "1|one"), texts("select id, name from " + table + " order by id desc limit 10"));
    assertEquals(2, statement.executeUpdate("insert into " + table + " select id + 10, name from " + table));
    assertEquals(List.of("4|26"), texts("select count(*), sum(id) from " + table));
  }

  @Test
  void connectsWithProperties(Endpoint endpoint) throws Exception {
    Properties properties = new Properties();
    properties.put("access_id", Endpoint.ACCESS_ID);
    properties.put("access_key", Endpoint.ACCESS_KEY);
    properties.put("project_name", Endpoint.PROJECT);
    properties.put("charset", "UTF-8");
    properties.put("tunnel_endpoint", endpoint.url().replace("/api", ""));
    try (Connection other = DriverManager.getConnection("jdbc:odps:" + endpoint.url(), properties); Statement select = other.createStatement();
        ResultSet rows = select.executeQuery("select '中文' as text")) {
      assertTrue(rows.next());
      assertEquals("中文", rows.getString("text"));
    }
    assertThrows(Exception.class,
        () -> DriverManager.getConnection("jdbc:odps:" + endpoint.url() + "?project=" + Endpoint.PROJECT, Endpoint.ACCESS_ID, "another-secret"));
  }

  @Test
  void listsTablesAndColumns() throws Exception {
    String table = Endpoint.unique("meta");
    statement.executeUpdate("create table " + table + " (id bigint not null comment 'the key', price decimal(10,2)) comment 'prices' partitioned by (pt string)");
    DatabaseMetaData meta = connection.getMetaData();
    assertTrue(column(meta.getCatalogs(), "TABLE_CAT").contains(Endpoint.PROJECT));
    assertTrue(column(meta.getSchemas(), "TABLE_SCHEM").contains(Endpoint.PROJECT));
    ResultSet tables = meta.getTables(Endpoint.PROJECT, null, table, new String[] {"TABLE"});
    assertTrue(tables.next());
    assertEquals(table, tables.getString("TABLE_NAME"));
    assertEquals("TABLE", tables.getString("TABLE_TYPE"));
    assertEquals("prices", tables.getString("REMARKS"));
    assertFalse(tables.next());
    ResultSet columns = meta.getColumns(Endpoint.PROJECT, null, table, "%");
    List<String> got = new ArrayList<>();
    while (columns.next()) {
      got.add(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME") + " " + columns.getInt("DATA_TYPE") + " " + columns.getString("REMARKS"));
    }
    assertEquals(List.of("id BIGINT " + Types.BIGINT + " the key", "price DECIMAL(10,2) " + Types.DECIMAL + " null", "pt STRING " + Types.VARCHAR + " null"),
        got.stream().map(line -> line.replaceAll(" $", " null")).toList());
  }

  @Test
  void givesValuesInTheirTypes() throws Exception {
    ResultSet rows = statement.executeQuery("select cast(1 as tinyint) as a, cast(2 as smallint) as b, 3 as c, 4L as d, cast(0.5 as float) as e, cast(0.25 as double) as f, 12.34BD as g, "
        + "true as h, 'text' as i, cast('2024-01-02' as date) as j, datetime '2024-01-02 03:04:05' as k, timestamp '2024-01-02 03:04:05.678' as l, "
        + "unhex('00ff') as m, cast(null as bigint) as n, array(1L, 2L) as o");
    ResultSetMetaData meta = rows.getMetaData();
    assertEquals(15, meta.getColumnCount());
    assertEquals("a", meta.getColumnName(1));
    int[] types = {Types.TINYINT, Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.FLOAT, Types.DOUBLE, Types.DECIMAL, Types.BOOLEAN, Types.VARCHAR, Types.DATE};
    for (int i = 0; i < types.length; i++) {
      assertEquals(types[i], meta.getColumnType(i + 1), "type of column " + meta.getColumnName(i + 1));
    }
    assertTrue(rows.next());
    assertEquals(1, rows.getByte("a"));
    assertEquals(2, rows.getShort("b"));
    assertEquals(3, rows.getInt("c"));
    assertEquals(4L, rows.getLong("d"));
    assertEquals(0.5f, rows.getFloat("e"));
    assertEquals(0.25, rows.getDouble("f"));
    assertEquals(0, new BigDecimal("12.34").compareTo(rows.getBigDecimal("g")));
    assertTrue(rows.getBoolean("h"));
    assertEquals("text", rows.getString("i"));
    assertEquals(Date.valueOf("2024-01-02"), rows.getDate("j"));
    assertEquals(java.time.Instant.parse("2024-01-02T03:04:05Z"), rows.getTimestamp("k").toInstant());
    assertEquals(java.time.Instant.parse("2024-01-02T03:04:05.678Z"), rows.getTimestamp("l").toInstant());
    assertArrayEquals(new byte[] {0, -1}, rows.getBytes("m"));
    rows.getLong("n");
    assertTrue(rows.wasNull());
    assertNull(rows.getObject("n"));
    assertEquals("[1,2]", rows.getString("o"));
    assertFalse(rows.next());
  }

  @Test
  void preparesStatements() throws Exception {
    String table = Endpoint.unique("prepared");
    statement.executeUpdate("create table " + table + " (id bigint, name string, price double, at timestamp)");
    // The driver turns a batch of inserts into an upload.
    try (PreparedStatement insert = connection.prepareStatement("insert into " + table + " values (?, ?, ?, ?)")) {
      for (long id = 0; id < 250; id++) {
        insert.setLong(1, id);
        insert.setString(2, id % 2 == 0 ? "name " + id : null);
        insert.setDouble(3, id / 4.0);
        insert.setTimestamp(4, Timestamp.from(java.time.Instant.parse("2024-01-02T03:04:05.000000006Z")));
        insert.addBatch();
      }
      assertEquals(250, insert.executeBatch().length);
    }
    try (PreparedStatement select = connection.prepareStatement("select name, price from " + table + " where id = ? or name = ? order by id")) {
      select.setLong(1, 1);
      select.setString(2, "name 248");
      try (ResultSet rows = select.executeQuery()) {
        assertTrue(rows.next());
        assertNull(rows.getString(1));
        assertEquals(0.25, rows.getDouble(2));
        assertTrue(rows.next());
        assertEquals("name 248", rows.getString(1));
        assertFalse(rows.next());
      }
    }
    assertEquals(List.of("250|125"), texts("select count(*), count(name) from " + table));
  }

  /** The driver writes the values of a query into its text, as MaxCompute's literals. */
  @Test
  void bindsEveryType() throws Exception {
    try (PreparedStatement select = connection.prepareStatement("select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?")) {
      select.setByte(1, (byte) 1);
      select.setShort(2, (short) 2);
      select.setInt(3, 3);
      select.setLong(4, 4);
      select.setFloat(5, 0.5f);
      select.setDouble(6, 0.25);
      select.setBigDecimal(7, new BigDecimal("12.34"));
      select.setBoolean(8, true);
      select.setDate(9, Date.valueOf("2024-01-02"));
      select.setTimestamp(10, Timestamp.valueOf("2024-01-02 03:04:05.678"));
      select.setNull(11, Types.VARCHAR);
      try (ResultSet rows = select.executeQuery()) {
        int[] types = {Types.TINYINT, Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.FLOAT, Types.DOUBLE, Types.DECIMAL, Types.BOOLEAN, Types.DATE, Types.TIMESTAMP};
        assertTrue(rows.next());
        for (int i = 0; i < types.length; i++) {
          assertEquals(types[i], rows.getMetaData().getColumnType(i + 1), "type of parameter " + (i + 1));
        }
        assertEquals(1, rows.getByte(1));
        assertEquals(4, rows.getLong(4));
        assertEquals(0.5f, rows.getFloat(5));
        assertEquals(0.25, rows.getDouble(6));
        assertEquals(0, new BigDecimal("12.34").compareTo(rows.getBigDecimal(7)));
        assertEquals(Date.valueOf("2024-01-02"), rows.getDate(9));
        assertEquals(java.time.Instant.parse("2024-01-02T03:04:05.678Z"), rows.getTimestamp(10).toInstant());
        assertNull(rows.getString(11));
      }
    }
  }

  @Test
  void cutsResults() throws Exception {
    String table = Endpoint.unique("cut");
    statement.executeUpdate("create table " + table + " (id bigint)");
    statement.executeUpdate("insert into " + table + " values (1L), (2L), (3L), (4L), (5L)");
    statement.setMaxRows(2);
    assertEquals(List.of("1", "2"), texts("select id from " + table + " order by id limit 100"));
  }

  @Test
  void tellsWhyAStatementFails() throws Exception {
    SQLException missing = assertThrows(SQLException.class, () -> statement.executeQuery("select * from no_such_table"));
    assertTrue(missing.getMessage().contains("ODPS-0130131"), missing::getMessage);
    SQLException wrong = assertThrows(SQLException.class, () -> statement.executeUpdate("selekt 1"));
    assertTrue(wrong.getMessage().contains("ODPS-0130161"), wrong::getMessage);
    // The connection goes on.
    assertEquals(List.of("1"), texts("select 1"));
  }

  @Test
  void runsSettings() throws Exception {
    assertFalse(statement.execute("set odps.sql.type.system.odps2=true"));
    assertTrue(statement.execute("set odps.sql.decimal.odps2=true; select 2 as two"));
    try (ResultSet rows = statement.getResultSet()) {
      assertTrue(rows.next());
      assertEquals(2, rows.getInt("two"));
    }
  }
}
