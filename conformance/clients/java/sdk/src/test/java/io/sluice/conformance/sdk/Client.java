package io.sluice.conformance.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.account.Account;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.TableTunnel;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.function.Executable;

/** The SDK pointed at an endpoint, and the few steps that most tests take. */
final class Client {
  final Odps odps;

  Client(Endpoint endpoint) {
    this(endpoint, new AliyunAccount(Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY));
  }

  Client(Endpoint endpoint, Account account) {
    odps = new Odps(account);
    odps.setEndpoint(endpoint.url());
    odps.setDefaultProject(Endpoint.PROJECT);
  }

  TableTunnel tunnel() {
    return new TableTunnel(odps);
  }

  /** Runs one statement to its end. */
  Instance run(String sql) throws OdpsException {
    Instance instance = SQLTask.run(odps, sql);
    instance.waitForSuccess(20);
    return instance;
  }

  /** Rows of a query, through the instance tunnel, as lists of the SDK's own objects (STRING as String). */
  List<List<Object>> query(String sql) throws Exception {
    return values(SQLTask.getResultByInstanceTunnel(run(sql)));
  }

  /** Makes a table with a name of its own; columns is what stands within the parentheses, and what follows them. */
  String table(String columns) throws OdpsException {
    String name = Endpoint.unique("t");
    run("create table " + name + " (" + columns + ";");
    return name;
  }

  TableTunnel.UploadSession upload(String table) throws OdpsException {
    return tunnel().createUploadSession(Endpoint.PROJECT, table);
  }

  TableTunnel.DownloadSession download(String table) throws OdpsException {
    return tunnel().buildDownloadSession(Endpoint.PROJECT, table).build();
  }

  /** Uploads rows as one block and commits them. */
  void insert(String table, List<?>... rows) throws Exception {
    TableTunnel.UploadSession session = upload(table);
    try (RecordWriter writer = session.openRecordWriter(0)) {
      for (List<?> row : rows) {
        writer.write(record(session.newRecord(), row));
      }
    }
    session.commit(new Long[] {0L});
  }

  static Record record(Record record, List<?> row) {
    for (int i = 0; i < row.size(); i++) {
      record.set(i, row.get(i));
    }
    return record;
  }

  /** A row that may hold null. */
  static List<Object> row(Object... values) {
    return Collections.unmodifiableList(Arrays.asList(values));
  }

  static List<List<Object>> values(List<Record> records) {
    List<List<Object>> rows = new ArrayList<>();
    records.forEach(record -> rows.add(values(record)));
    return rows;
  }

  static List<Object> values(Record record) {
    List<Object> row = new ArrayList<>();
    for (int i = 0; i < record.getColumnCount(); i++) {
      Object value = record.get(i);
      row.add(value instanceof byte[] ? record.getString(i) : value);
    }
    return row;
  }

  static List<List<Object>> drain(RecordReader reader) throws Exception {
    List<List<Object>> rows = new ArrayList<>();
    try (reader) {
      for (Record record = reader.read(); record != null; record = reader.read()) {
        rows.add(values(record));
      }
    }
    return rows;
  }

  /** The call fails with the code: of the answer, or at the head of a failed task's text. */
  static OdpsException refused(String code, Executable call) {
    OdpsException e = assertThrows(OdpsException.class, call);
    String got = e.getErrorCode() != null ? e.getErrorCode() : e.getMessage().split(":", 2)[0];
    assertEquals(code, got, () -> "code of " + e);
    return e;
  }
}
