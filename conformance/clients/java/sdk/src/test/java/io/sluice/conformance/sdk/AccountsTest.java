package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.aliyun.odps.OdpsException;
import com.aliyun.odps.account.Account;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.account.AppAccount;
import com.aliyun.odps.account.BearerTokenAccount;
import com.aliyun.odps.account.StsAccount;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every account of the SDK gets in, on the REST API and on the tunnel; what is not quite one of them does not. */
class AccountsTest {
  private static Endpoint endpoint;

  @BeforeAll
  static void start() {
    endpoint = Endpoint.start("--account", "temp:temp-secret:session-token", "--account", "app:app-secret", "--bearer-token", "good-token",
        "--bearer-token", "past-token@2020-01-01T00:00:00Z");
  }

  @AfterAll
  static void stop() throws Exception {
    endpoint.close();
  }

  static Stream<Arguments> accounts() {
    return Stream.of(
        Arguments.of("signature V2", new AliyunAccount(Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY)),
        Arguments.of("signature V4", new AliyunAccount(Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY, "cn-shanghai")),
        Arguments.of("STS", new StsAccount("temp", "temp-secret", "session-token")),
        Arguments.of("STS, signature V4", new StsAccount("temp", "temp-secret", "session-token", "cn-shanghai")),
        Arguments.of("bearer", new BearerTokenAccount("good-token")));
  }

  @Tag("smoke")
  @ParameterizedTest(name = "{0}")
  @MethodSource("accounts")
  void entersWith(String name, Account account) throws Exception {
    Client client = new Client(endpoint, account);
    String table = client.table("id bigint, name string)");
    client.insert(table, row(1L, "one"), row(2L, "a name with spaces, 中文 & +=%"));
    assertEquals(List.of(row("a name with spaces, 中文 & +=%")), client.query("select name from " + table + " where id = 2;"));
    // Signed parameters with characters that are escaped on the way.
    assertEquals(false, client.odps.tables().exists("no such table & +=%/中文"));
  }

  @Test
  void entersWithAnApplicationBesideTheUser() throws Exception {
    Client client = new Client(endpoint);
    client.odps.setAppAccount(new AppAccount(new AliyunAccount("app", "app-secret")));
    assertEquals(List.of(row(3L)), client.query("select cast(3 as bigint) as c;"));
    client.odps.setAppAccount(new AppAccount(new AliyunAccount("app", "another-secret")));
    assertEquals("SignatureNotMatch", errorCode(client));
  }

  static Stream<Arguments> strangers() {
    return Stream.of(
        Arguments.of("wrong key", "SignatureNotMatch", new AliyunAccount(Endpoint.ACCESS_ID, "another-secret")),
        Arguments.of("wrong key, signature V4", "SignatureNotMatch", new AliyunAccount(Endpoint.ACCESS_ID, "another-secret", "cn-shanghai")),
        Arguments.of("unknown id", "Unauthorized", new AliyunAccount("nobody", Endpoint.ACCESS_KEY)),
        Arguments.of("another STS token", "Unauthorized", new StsAccount("temp", "temp-secret", "other-token")),
        Arguments.of("temporary key without its token", "Unauthorized", new AliyunAccount("temp", "temp-secret")),
        Arguments.of("unknown bearer token", "Unauthorized", new BearerTokenAccount("bad-token")),
        Arguments.of("ended bearer token", "AuthenticationRequestExpired", new BearerTokenAccount("past-token")));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("strangers")
  void refuses(String name, String code, Account account) throws Exception {
    assertEquals(code, errorCode(new Client(endpoint, account)));
  }

  /** The error code of a REST call and of a tunnel call, which must be the same. */
  private static String errorCode(Client client) {
    OdpsException rest = assertThrows(OdpsException.class, () -> client.odps.projects().get().reload());
    client.odps.setTunnelEndpoint(endpoint.url().replace("/api", ""));
    OdpsException tunnel = assertThrows(OdpsException.class, () -> client.download("t"));
    assertEquals(rest.getErrorCode(), tunnel.getErrorCode(), () -> "codes of " + rest + " and " + tunnel);
    return rest.getErrorCode();
  }
}
