package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.record;
import static io.sluice.conformance.sdk.Client.refused;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Column;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.exceptions.SchemaMismatchException;
import com.aliyun.odps.tunnel.TableTunnel.FlushOption;
import com.aliyun.odps.tunnel.TableTunnel.FlushResult;
import com.aliyun.odps.tunnel.TableTunnel.StreamRecordPack;
import com.aliyun.odps.tunnel.TableTunnel.StreamUploadSession;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import com.aliyun.odps.type.TypeInfoFactory;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class StreamTest {
  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  private StreamUploadSession.Builder stream(String table) {
    return client.tunnel().buildStreamUploadSession(Endpoint.PROJECT, table);
  }

  @Test
  @Tag("smoke")
  void showsEachFlushAtOnce() throws Exception {
    String table = client.table("id bigint, name string)");
    StreamUploadSession session = stream(table).build();
    assertFalse(session.getId().isEmpty());
    StreamRecordPack pack = session.newRecordPack();
    for (long i = 1; i <= 3; i++) {
      for (long id = 0; id < 100 * i; id++) {
        pack.append(record(session.newRecord(), row(id, "flush " + i)));
      }
      assertEquals(100 * i, pack.getRecordCount());
      FlushResult result = pack.flush(new FlushOption().timeout(20_000));
      assertEquals(100 * i, result.getRecordCount());
      assertTrue(result.getFlushSize() > 0);
      assertFalse(result.getTraceId().isEmpty());
      assertEquals(0, pack.getRecordCount());
      assertEquals(List.of(row("flush " + i, 100 * i)),
          client.query("select name, count(*) from " + table + " where name = 'flush " + i + "' group by name;"));
    }
    pack.append(record(session.newRecord(), row(-1L, "forgotten")));
    pack.reset();
    pack.append(record(session.newRecord(), row(-2L, "kept")));
    pack.flush();
    assertEquals(List.of(row(-2L, "kept")), client.query("select * from " + table + " where id < 0;"));
  }

  @Test
  void spreadsOverSlots() throws Exception {
    String table = client.table("id bigint)");
    StreamUploadSession session = stream(table).setSlotNum(4).build();
    for (long id = 0; id < 12; id++) {
      StreamRecordPack pack = session.newRecordPack();
      pack.append(record(session.newRecord(), row(id)));
      pack.flush();
    }
    assertEquals(List.of(row(12L, 66L)), client.query("select count(*), sum(id) from " + table + ";"));
  }

  @Test
  void takesEveryCompression() throws Exception {
    String table = client.table("a string)");
    StreamUploadSession session = stream(table).build();
    for (CompressAlgorithm algorithm : List.of(CompressAlgorithm.ODPS_RAW, CompressAlgorithm.ODPS_ZLIB, CompressAlgorithm.ODPS_SNAPPY, CompressAlgorithm.ODPS_LZ4_FRAME)) {
      StreamRecordPack pack = session.newRecordPack(new CompressOption(algorithm, 1, 0));
      pack.append(record(session.newRecord(), row(algorithm.name())));
      pack.flush();
    }
    assertEquals(List.of(row("ODPS_LZ4_FRAME"), row("ODPS_RAW"), row("ODPS_SNAPPY"), row("ODPS_ZLIB")), client.query("select a from " + table + " order by a;"));
  }

  @Test
  void makesThePartition() throws Exception {
    String table = client.table("id bigint) partitioned by (pt string)");
    refused("NoSuchPartition", () -> stream(table).setPartitionSpec("pt='new'").build());
    StreamUploadSession session = stream(table).setPartitionSpec("pt='new'").setCreatePartition(true).build();
    assertTrue(client.odps.tables().get(table).hasPartition(new PartitionSpec("pt='new'")));
    StreamRecordPack pack = session.newRecordPack();
    pack.append(record(session.newRecord(), row(5L)));
    pack.flush();
    assertEquals(List.of(row("new", 5L)), client.query("select pt, id from " + table + ";"));
    refused("InvalidPartitionSpec", () -> stream(table).build());
    refused("NoSuchTable", () -> stream("no_such_table").build());
  }

  @Test
  void tellsOfANewSchema() throws Exception {
    String table = client.table("id bigint)");
    StreamUploadSession old = stream(table).allowSchemaMismatch(false).build();
    StreamUploadSession tolerant = stream(table).build();
    StreamRecordPack pack = old.newRecordPack();
    pack.append(record(old.newRecord(), row(1L)));
    pack.flush();

    client.odps.tables().get(table).addColumns(List.of(new Column("name", TypeInfoFactory.STRING)), false);
    pack.append(record(old.newRecord(), row(2L)));
    SchemaMismatchException e = assertThrows(SchemaMismatchException.class, pack::flush);
    assertNotEquals(old.getSchemaVersion(), e.getLatestSchemaVersion());
    StreamRecordPack short_ = tolerant.newRecordPack();
    short_.append(record(tolerant.newRecord(), row(3L)));
    short_.flush();

    StreamUploadSession renewed = stream(table).setSchemaVersion(e.getLatestSchemaVersion()).allowSchemaMismatch(false).build();
    StreamRecordPack wide = renewed.newRecordPack();
    wide.append(record(renewed.newRecord(), row(4L, "four")));
    wide.flush();
    assertEquals(List.of(row(1L, null), row(3L, null), row(4L, "four")), client.query("select * from " + table + " order by id;"));
  }
}
