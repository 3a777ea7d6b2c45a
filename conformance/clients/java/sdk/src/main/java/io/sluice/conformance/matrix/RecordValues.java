package io.sluice.conformance.matrix;

import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.IntervalDayTime;
import com.aliyun.odps.data.IntervalYearMonth;
import com.aliyun.odps.data.JsonValue;
import com.aliyun.odps.data.SimpleJsonValue;
import com.aliyun.odps.data.SimpleStruct;
import com.aliyun.odps.data.Struct;
import com.aliyun.odps.data.Varchar;
import com.aliyun.odps.type.ArrayTypeInfo;
import com.aliyun.odps.type.DecimalTypeInfo;
import com.aliyun.odps.type.MapTypeInfo;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfo;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Canonical JSON to and from the Java objects that the SDK's records hold. */
final class RecordValues {
  private RecordValues() {}

  static Object fromJson(TypeInfo type, JsonElement v) {
    if (v.isJsonNull()) {
      return null;
    }
    return switch (type.getOdpsType()) {
      case BOOLEAN -> v.getAsBoolean();
      case TINYINT -> Byte.valueOf(v.getAsString());
      case SMALLINT -> Short.valueOf(v.getAsString());
      case INT -> Integer.valueOf(v.getAsString());
      case BIGINT -> Long.valueOf(v.getAsString());
      case FLOAT -> Canonical.toFloat(v);
      case DOUBLE -> Canonical.toDouble(v);
      case DECIMAL -> new BigDecimal(v.getAsString());
      case STRING -> v.getAsString();
      case CHAR -> new Char(v.getAsString());
      case VARCHAR -> new Varchar(v.getAsString());
      case JSON -> new SimpleJsonValue(v.getAsString());
      case BINARY -> new Binary(Canonical.toBytes(v));
      case DATE -> Canonical.toDate(v);
      case DATETIME -> Canonical.toDatetime(v).atZone(ZoneOffset.UTC);
      case TIMESTAMP -> Canonical.toWallTime(v).toInstant(ZoneOffset.UTC);
      case TIMESTAMP_NTZ -> Canonical.toWallTime(v);
      case INTERVAL_DAY_TIME -> {
        Canonical.Seconds seconds = Canonical.toDayTime(v);
        yield new IntervalDayTime(seconds.seconds(), seconds.nanos());
      }
      case INTERVAL_YEAR_MONTH -> new IntervalYearMonth(Integer.parseInt(v.getAsString()));
      case ARRAY -> {
        List<Object> list = new ArrayList<>();
        v.getAsJsonArray().forEach(element -> list.add(fromJson(((ArrayTypeInfo) type).getElementTypeInfo(), element)));
        yield list;
      }
      case MAP -> {
        MapTypeInfo map = (MapTypeInfo) type;
        Map<Object, Object> entries = new LinkedHashMap<>();
        for (JsonElement pair : v.getAsJsonArray()) {
          entries.put(fromJson(map.getKeyTypeInfo(), pair.getAsJsonArray().get(0)), fromJson(map.getValueTypeInfo(), pair.getAsJsonArray().get(1)));
        }
        yield entries;
      }
      case STRUCT -> {
        StructTypeInfo struct = (StructTypeInfo) type;
        List<Object> fields = new ArrayList<>();
        for (int i = 0; i < struct.getFieldCount(); i++) {
          fields.add(fromJson(struct.getFieldTypeInfos().get(i), v.getAsJsonArray().get(i)));
        }
        yield new SimpleStruct(struct, fields);
      }
      default -> throw new IllegalArgumentException("the SDK has no record form of " + type.getTypeName());
    };
  }

  static JsonElement toJson(TypeInfo type, Object v) {
    if (v == null) {
      return Canonical.nothing();
    }
    return switch (type.getOdpsType()) {
      case BOOLEAN -> new JsonPrimitive((Boolean) v);
      case TINYINT -> Canonical.integer((Byte) v);
      case SMALLINT -> Canonical.integer((Short) v);
      case INT -> Canonical.integer((Integer) v);
      case BIGINT -> Canonical.integer((Long) v);
      case FLOAT -> Canonical.ofFloat((Float) v);
      case DOUBLE -> Canonical.ofDouble((Double) v);
      case DECIMAL -> Canonical.decimal((BigDecimal) v, ((DecimalTypeInfo) type).getScale());
      case STRING -> new JsonPrimitive(v instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : (String) v);
      case CHAR -> new JsonPrimitive(((Char) v).getValue());
      case VARCHAR -> new JsonPrimitive(((Varchar) v).getValue());
      case JSON -> new JsonPrimitive(((JsonValue) v).toString());
      case BINARY -> Canonical.bytes(((Binary) v).data());
      case DATE -> Canonical.date((LocalDate) v);
      case DATETIME -> Canonical.datetime(((ZonedDateTime) v).toInstant());
      case TIMESTAMP -> Canonical.timestamp((Instant) v);
      case TIMESTAMP_NTZ -> Canonical.wallTime((LocalDateTime) v);
      case INTERVAL_DAY_TIME -> Canonical.dayTime(Canonical.Seconds.of(((IntervalDayTime) v).getTotalSeconds(), ((IntervalDayTime) v).getNanos()));
      case INTERVAL_YEAR_MONTH -> Canonical.integer(((IntervalYearMonth) v).getTotalMonths());
      case ARRAY -> {
        List<JsonElement> elements = new ArrayList<>();
        ((List<?>) v).forEach(element -> elements.add(toJson(((ArrayTypeInfo) type).getElementTypeInfo(), element)));
        yield Canonical.list(elements);
      }
      case MAP -> {
        MapTypeInfo map = (MapTypeInfo) type;
        List<Map.Entry<JsonElement, JsonElement>> entries = new ArrayList<>();
        ((Map<?, ?>) v).forEach((key, value) -> entries.add(Map.entry(toJson(map.getKeyTypeInfo(), key), toJson(map.getValueTypeInfo(), value))));
        yield Canonical.map(entries);
      }
      case STRUCT -> {
        List<JsonElement> fields = new ArrayList<>();
        Struct struct = (Struct) v;
        for (int i = 0; i < struct.getFieldCount(); i++) {
          fields.add(toJson(struct.getFieldTypeInfo(i), struct.getFieldValue(i)));
        }
        yield Canonical.list(fields);
      }
      default -> throw new IllegalArgumentException("the SDK has no record form of " + type.getTypeName());
    };
  }
}
