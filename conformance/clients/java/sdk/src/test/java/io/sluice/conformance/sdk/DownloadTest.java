package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.drain;
import static io.sluice.conformance.sdk.Client.refused;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.aliyun.odps.Column;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.DownloadStatus;
import com.aliyun.odps.tunnel.TunnelException;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Rows that SQL wrote, read through download sessions. */
class DownloadTest {
  private static final CompressOption RAW = new CompressOption(CompressAlgorithm.ODPS_RAW, 0, 0);

  private Client client;
  private String table;

  @BeforeEach
  void fill(Endpoint endpoint) throws Exception {
    client = new Client(endpoint);
    table = client.table("id bigint, name string, half double)");
    String ids = client.table("id bigint)");
    List<?>[] rows = LongStream.range(0, 1000).mapToObj(id -> row(id)).toArray(List[]::new);
    client.insert(ids, rows);
    client.run("insert into " + table + " select id, concat('n', cast(id as string)), id / 2.0 from " + ids + ";");
  }

  @Test
  @Tag("smoke")
  void readsRangesAndColumns() throws Exception {
    DownloadSession session = client.download(table);
    assertEquals(1000, session.getRecordCount());
    assertEquals(DownloadStatus.NORMAL, session.getStatus());
    assertEquals(List.of(row(0L, "n0", 0.0), row(1L, "n1", 0.5)), drain(session.openRecordReader(0, 2)));
    assertEquals(List.of(row(999L, "n999", 499.5)), drain(session.openRecordReader(999, 1)));
    List<Column> swapped = List.of(session.getSchema().getColumn("half"), session.getSchema().getColumn("id"));
    assertEquals(List.of(row(250.0, 500L), row(250.5, 501L)), drain(session.openRecordReader(500, 2, RAW, swapped)));
    assertEquals(List.of(), drain(session.openRecordReader(500, 0)));
    List<List<Object>> all = new ArrayList<>();
    for (int start = 0; start < 1000; start += 300) {
      all.addAll(drain(session.openRecordReader(start, Math.min(300, 1000 - start))));
    }
    assertEquals(drain(session.openRecordReader(0, 1000)), all);
  }

  @Test
  void readsInBuffers() throws Exception {
    DownloadSession session = client.download(table);
    List<List<Object>> rows = drain(session.openBufferedRecordReader(10, 900, 128, 4, RAW, List.of(session.getSchema().getColumn("id")), false));
    assertEquals(900, rows.size());
    assertEquals(row(10L), rows.get(0));
    assertEquals(row(909L), rows.get(899));
  }

  @Test
  void waitsForAnAsynchronousSession() throws Exception {
    DownloadSession session = client.tunnel().buildDownloadSession(Endpoint.PROJECT, table).setAsyncMode(true).setWaitAsyncBuild(true).build();
    assertEquals(1000, session.getRecordCount());
    assertEquals(List.of(row(7L, "n7", 3.5)), drain(session.openRecordReader(7, 1)));
  }

  @Test
  void keepsASessionsRowsWhateverComesLater() throws Exception {
    DownloadSession before = client.download(table);
    client.run("insert overwrite table " + table + " values (-1L, 'new', 0.0);");
    DownloadSession sameSession = client.tunnel().getDownloadSession(Endpoint.PROJECT, table, before.getId());
    assertEquals(1000, sameSession.getRecordCount());
    assertEquals(List.of(row(-1L, "new", 0.0)), drain(client.download(table).openRecordReader(0, 1)));
    assertEquals(List.of(row(3L, "n3", 1.5)), drain(sameSession.openRecordReader(3, 1)));
  }

  @Test
  void readsOnePartition() throws Exception {
    String parts = client.table("id bigint) partitioned by (dt string, hh bigint)");
    client.run("insert into " + parts + " partition (dt, hh) select id, concat('d', cast(id % 2 as string)), id % 3 from " + table + " where id < 12;");
    DownloadSession session = client.tunnel().buildDownloadSession(Endpoint.PROJECT, parts).setPartitionSpec(new PartitionSpec("dt='d1',hh='2'")).build();
    assertEquals(List.of(row(5L), row(11L)), drain(session.openRecordReader(0, session.getRecordCount())));
    assertEquals("[`id` BIGINT]", session.getSchema().getColumns().stream().map(c -> "`" + c.getName() + "` " + c.getTypeInfo().getTypeName()).toList().toString());
    refused("NoSuchPartition", () -> client.tunnel().buildDownloadSession(Endpoint.PROJECT, parts).setPartitionSpec(new PartitionSpec("dt='d1',hh='9'")).build());
  }

  @Test
  void refusesWhatIsNotThere() throws Exception {
    DownloadSession session = client.download(table);
    refused("NoSuchTable", () -> client.download("no_such_table"));
    refused("NoSuchDownload", () -> client.tunnel().getDownloadSession(Endpoint.PROJECT, table, "no-such-session"));
    Column stranger = new Column("stranger", com.aliyun.odps.type.TypeInfoFactory.STRING);
    assertThrows(TunnelException.class, () -> session.openRecordReader(0, 1, RAW, List.of(stranger)));
    assertEquals(List.of(), drain(session.openRecordReader(1000, 5)));
  }
}
