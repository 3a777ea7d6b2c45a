package io.sluice.conformance.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.Odps;
import com.aliyun.odps.Project;
import com.aliyun.odps.account.AliyunAccount;
import io.sluice.conformance.endpoint.Endpoint;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class ProjectsTest {
  @Test
  @Tag("smoke")
  void tellsAProjectsProperties(Endpoint endpoint) throws Exception {
    Project project = new Client(endpoint).odps.projects().get();
    project.reload();
    assertEquals(Endpoint.PROJECT, project.getName());
    assertEquals(Project.Status.AVAILABLE, project.getStatus());
    assertEquals(Project.ProjectType.managed, project.getType());
    assertNotNull(project.getOwner());
    assertNotNull(project.getCreatedTime());
    assertNotNull(project.getLastModifiedTime());
    assertNotNull(project.getTenantId());
  }

  @Test
  void keepsUpdatedProperties(Endpoint endpoint) throws Exception {
    Odps odps = new Client(endpoint).odps;
    odps.projects().updateProject(Endpoint.PROJECT, Map.of("odps.sql.timezone", "Asia/Kathmandu"));
    // Asked by a client of its own.
    assertEquals("Asia/Kathmandu", new Client(endpoint).odps.projects().get(Endpoint.PROJECT).getProperty("odps.sql.timezone"));
  }

  @Test
  void answersTheTunnelsAddressAsTheClientSeesIt(Endpoint endpoint) throws Exception {
    URI url = URI.create(endpoint.url());
    assertEquals("http://127.0.0.1:" + url.getPort(), new Client(endpoint).odps.projects().get().getTunnelEndpoint());
    Odps byName = new Odps(new AliyunAccount(Endpoint.ACCESS_ID, Endpoint.ACCESS_KEY));
    byName.setEndpoint("http://localhost:" + url.getPort() + "/api");
    assertEquals("http://localhost:" + url.getPort(), byName.projects().get(Endpoint.PROJECT).getTunnelEndpoint());
  }

  @Test
  void knowsOnlyTheNamedProjects() throws Exception {
    try (Endpoint endpoint = Endpoint.start("--projects", "alpha,beta")) {
      Odps odps = new Client(endpoint).odps;
      odps.setDefaultProject("alpha");
      assertTrue(odps.projects().exists("alpha"));
      assertFalse(odps.projects().exists("gamma"));
      assertThrows(NoSuchObjectException.class, () -> odps.projects().get("gamma").reload());
      List<String> names = new ArrayList<>();
      odps.projects().iterable(null).forEach(project -> names.add(project.getName()));
      assertEquals(List.of("alpha", "beta"), names);
    }
  }
}
