package io.sluice.conformance.sdk;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.ArchiveResource;
import com.aliyun.odps.FileResource;
import com.aliyun.odps.Function;
import com.aliyun.odps.JarResource;
import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.PyResource;
import com.aliyun.odps.Resource;
import com.aliyun.odps.Resources;
import com.aliyun.odps.TableResource;
import io.sluice.conformance.endpoint.Endpoint;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files, tables and functions of a project. The SDK writes every file in parts and merges them, and reads by ranges of 64 MiB. */
class ResourcesTest {
  private Client client;
  private Resources resources;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
    resources = client.odps.resources();
  }

  private static <R extends FileResource> R named(R resource, String name) {
    resource.setName(name);
    return resource;
  }

  private static InputStream text(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
  }

  private String content(String name) throws Exception {
    try (InputStream in = resources.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static String md5(byte[] content) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(content));
  }

  @Test
  @Tag("smoke")
  void keepsFilesOfEveryKind() throws Exception {
    Map<String, FileResource> kinds = Map.of("f.txt", new FileResource(), "j.jar", new JarResource(), "p.py", new PyResource(), "a.zip", new ArchiveResource());
    for (Map.Entry<String, FileResource> kind : kinds.entrySet()) {
      String name = Endpoint.unique("r") + kind.getKey();
      FileResource resource = named(kind.getValue(), name);
      resource.setComment("its comment");
      resources.create(resource, text("content of " + name));

      Resource got = resources.get(name);
      assertEquals(kind.getValue().getType(), got.getType());
      assertEquals("its comment", got.getComment());
      assertEquals(("content of " + name).length(), got.getSize());
      assertNotNull(got.getOwner());
      assertNotNull(got.getCreatedTime());
      assertNotNull(got.getLastModifiedTime());
      assertFalse(((FileResource) got).getIsTempResource());
      assertEquals(md5(("content of " + name).getBytes(StandardCharsets.UTF_8)), ((FileResource) got).getContentMd5().toLowerCase());
      assertEquals("content of " + name, content(name));
    }
  }

  @Test
  void mergesPartsAndReadsByRanges() throws Exception {
    byte[] big = new byte[(64 << 20) + 12_345]; // a part, and a range, hold 64 MiB
    new Random(7).nextBytes(big);
    String name = Endpoint.unique("big");
    resources.create(named(new FileResource(), name), new ByteArrayInputStream(big));
    assertEquals((long) big.length, resources.get(name).getSize());
    try (InputStream in = resources.getResourceAsStream(name)) {
      assertEquals((64 << 20) - 10, in.skip((64 << 20) - 10));
      byte[] around = new byte[20];
      assertEquals(20, in.readNBytes(around, 0, 20));
      assertArrayEquals(java.util.Arrays.copyOfRange(big, (64 << 20) - 10, (64 << 20) + 10), around);
      assertEquals(12_335, in.readAllBytes().length);
    }
    List<String> names = new ArrayList<>();
    resources.iterator().forEachRemaining(resource -> names.add(resource.getName()));
    assertTrue(names.contains(name));
    assertFalse(names.stream().anyMatch(n -> n.contains(".part.tmp")), names::toString);
  }

  @Test
  void replacesAndDeletes() throws Exception {
    String name = Endpoint.unique("file");
    FileResource resource = named(new FileResource(), name);
    resources.create(resource, text("old"));
    OdpsException twice = assertThrows(OdpsException.class, () -> resources.create(resource, text("other")));
    assertEquals(409, twice.getStatus(), twice::toString);
    assertEquals("old", content(name));
    resource.setComment("new comment");
    resources.update(resource, text("new and longer"));
    assertEquals("new and longer", content(name));
    assertEquals("new comment", resources.get(name).getComment());
    resources.update(named(new FileResource(), name), text(""));
    assertEquals("", content(name));
    assertTrue(resources.exists(name));
    resources.delete(name);
    assertFalse(resources.exists(name));
    assertThrows(NoSuchObjectException.class, () -> resources.get(name).reload());
    assertThrows(NoSuchObjectException.class, () -> resources.delete(name));
    assertThrows(OdpsException.class, () -> resources.getResourceAsStream(name));
  }

  @Test
  void keepsTemporaryFiles(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("script.py");
    Files.writeString(file, "print('hello')");
    FileResource temporary = resources.createTempResource(Endpoint.PROJECT, file.toString(), Resource.Type.PY);
    FileResource got = (FileResource) resources.get(temporary.getName());
    assertTrue(got.getIsTempResource());
    assertEquals(Resource.Type.PY, got.getType());
    assertEquals("print('hello')", content(temporary.getName()));
  }

  @Test
  void pointsAtTablesAndPartitions() throws Exception {
    String table = client.table("id bigint) partitioned by (pt string)");
    client.odps.tables().get(table).createPartition(new PartitionSpec("pt='a'"));
    String whole = Endpoint.unique("whole");
    TableResource resource = new TableResource(table);
    resource.setName(whole);
    resources.create(resource);
    TableResource got = (TableResource) resources.get(whole);
    assertEquals(Resource.Type.TABLE, got.getType());
    assertEquals(table, got.getSourceTable().getName());
    assertEquals(Endpoint.PROJECT, got.getSourceTable().getProject());

    String part = Endpoint.unique("part");
    TableResource ofPartition = new TableResource(table, Endpoint.PROJECT, new PartitionSpec("pt='a'"));
    ofPartition.setName(part);
    resources.create(ofPartition);
    assertEquals("pt='a'", ((TableResource) resources.get(part)).getSourceTablePartition().toString());
    TableResource other = new TableResource(client.table("x string)"));
    other.setName(part);
    resources.update(other);
    assertEquals("x", ((TableResource) resources.get(part)).getSourceTable().getSchema().getColumn(0).getName());
  }

  @Test
  void listsByPrefix() throws Exception {
    String prefix = Endpoint.unique("list") + "_";
    for (String name : List.of("b.jar", "a.txt")) {
      resources.create(named(name.endsWith("jar") ? new JarResource() : new FileResource(), prefix + name), text(name));
    }
    List<String> found = new ArrayList<>();
    resources.iterator(Endpoint.PROJECT, null, prefix).forEachRemaining(r -> found.add(r.getName() + " " + r.getType() + " " + r.getSize()));
    assertEquals(List.of(prefix + "a.txt FILE 5", prefix + "b.jar JAR 5"), found);
  }

  @Test
  void registersFunctions() throws Exception {
    String jar = Endpoint.unique("udf") + ".jar";
    resources.create(named(new JarResource(), jar), text("not really a jar"));
    String name = Endpoint.unique("my_fn");
    Function function = new Function();
    function.setName(name);
    function.setClassPath("com.example.First");
    function.setResources(List.of(jar));
    client.odps.functions().create(function);

    Function got = client.odps.functions().get(name);
    assertEquals("com.example.First", got.getClassPath());
    assertEquals(List.of(Endpoint.PROJECT + "/resources/" + jar), got.getResourceFullNames());
    assertNotNull(got.getOwner());
    assertNotNull(got.getCreatedTime());
    OdpsException twice = assertThrows(OdpsException.class, () -> client.odps.functions().create(function));
    assertEquals(409, twice.getStatus(), twice::toString);
    function.setClassPath("com.example.Second");
    client.odps.functions().update(function);
    assertEquals("com.example.Second", client.odps.functions().get(name).getClassPath());
    List<String> names = new ArrayList<>();
    client.odps.functions().iterator().forEachRemaining(f -> names.add(f.getName()));
    assertTrue(names.contains(name), names::toString);
    assertTrue(client.odps.functions().exists(name));
    client.odps.functions().delete(name);
    assertFalse(client.odps.functions().exists(name));
    assertThrows(NoSuchObjectException.class, () -> client.odps.functions().delete(name));
  }
}
