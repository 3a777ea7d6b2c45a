package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.record;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.tunnel.TableTunnel.StreamRecordPack;
import com.aliyun.odps.tunnel.TableTunnel.StreamUploadSession;
import io.sluice.conformance.endpoint.Endpoint;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The SDK's own repeats against an endpoint with faults: nothing is lost, nothing that had no effect is doubled. */
class RetryTest {
  @Test
  void followsAStreamsSlotsAndWaitsWhenThrottled() throws Exception {
    try (Endpoint endpoint = Endpoint.start("--faults", "7:308@stream.put=0.2,429@stream.put=0.2,503@stream.put=0.1")) {
      Client client = new Client(endpoint);
      String table = client.table("id bigint)");
      StreamUploadSession session = client.tunnel().buildStreamUploadSession(Endpoint.PROJECT, table).setSlotNum(2).build();
      for (long id = 0; id < 12; id++) {
        StreamRecordPack pack = session.newRecordPack();
        pack.append(record(session.newRecord(), row(id)));
        pack.flush();
      }
      assertEquals(List.of(row(12L, 66L)), client.query("select count(*), sum(id) from " + table + ";"));
      String faults = HttpClient.newHttpClient()
          .send(HttpRequest.newBuilder(URI.create(endpoint.url()).resolve("/faults")).build(), HttpResponse.BodyHandlers.ofString()).body();
      for (String kind : List.of("308", "429", "503")) {
        assertTrue(faults.contains("\"" + kind + "\""), () -> "the endpoint injected: " + faults);
      }
    }
  }
}
