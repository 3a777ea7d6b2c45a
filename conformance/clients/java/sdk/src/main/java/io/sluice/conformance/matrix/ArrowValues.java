package io.sluice.conformance.matrix;

import com.aliyun.odps.type.ArrayTypeInfo;
import com.aliyun.odps.type.DecimalTypeInfo;
import com.aliyun.odps.type.MapTypeInfo;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfo;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.BitVector;
import org.apache.arrow.vector.DateDayVector;
import org.apache.arrow.vector.DateMilliVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.Float8Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.IntervalDayVector;
import org.apache.arrow.vector.IntervalYearVector;
import org.apache.arrow.vector.SmallIntVector;
import org.apache.arrow.vector.TimeStampNanoVector;
import org.apache.arrow.vector.TinyIntVector;
import org.apache.arrow.vector.VarBinaryVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.arrow.vector.holders.IntervalDayHolder;
import org.apache.arrow.vector.holders.NullableIntervalDayHolder;

/** Canonical JSON to and from the Arrow vectors of the schema that the SDK gives a session. */
final class ArrowValues {
  private static final long MILLIS_PER_DAY = 86_400_000L;
  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private ArrowValues() {}

  /** Sets row i, which is the next one; nested vectors grow at their ends. */
  static void set(FieldVector vector, int i, TypeInfo type, JsonElement v) {
    if (v.isJsonNull()) {
      setNull(vector, i, type);
      return;
    }
    switch (type.getOdpsType()) {
      case BOOLEAN -> ((BitVector) vector).setSafe(i, v.getAsBoolean() ? 1 : 0);
      case TINYINT -> ((TinyIntVector) vector).setSafe(i, Byte.parseByte(v.getAsString()));
      case SMALLINT -> ((SmallIntVector) vector).setSafe(i, Short.parseShort(v.getAsString()));
      case INT -> ((IntVector) vector).setSafe(i, Integer.parseInt(v.getAsString()));
      case BIGINT -> ((BigIntVector) vector).setSafe(i, Long.parseLong(v.getAsString()));
      case FLOAT -> ((Float4Vector) vector).setSafe(i, Canonical.toFloat(v));
      case DOUBLE -> ((Float8Vector) vector).setSafe(i, Canonical.toDouble(v));
      case DECIMAL -> ((DecimalVector) vector).setSafe(i, new BigDecimal(v.getAsString()).setScale(((DecimalTypeInfo) type).getScale()));
      case STRING, CHAR, VARCHAR, JSON -> ((VarCharVector) vector).setSafe(i, v.getAsString().getBytes(StandardCharsets.UTF_8));
      case BINARY -> ((VarBinaryVector) vector).setSafe(i, Canonical.toBytes(v));
      case DATE -> ((DateDayVector) vector).setSafe(i, Math.toIntExact(Canonical.toDate(v).toEpochDay()));
      case DATETIME -> ((DateMilliVector) vector).setSafe(i, Canonical.toDatetime(v).toEpochMilli());
      case TIMESTAMP, TIMESTAMP_NTZ -> ((TimeStampNanoVector) vector).setSafe(i, nanos(Canonical.toWallTime(v)));
      case INTERVAL_YEAR_MONTH -> ((IntervalYearVector) vector).setSafe(i, Integer.parseInt(v.getAsString()));
      case INTERVAL_DAY_TIME -> ((IntervalDayVector) vector).setSafe(i, days(Canonical.toDayTime(v)));
      case ARRAY -> setList((ListVector) vector, i, ((ArrayTypeInfo) type).getElementTypeInfo(), v.getAsJsonArray());
      case MAP -> setMap((ListVector) vector, i, (MapTypeInfo) type, v.getAsJsonArray());
      case STRUCT -> setStruct((StructVector) vector, i, ((StructTypeInfo) type).getFieldTypeInfos(), v.getAsJsonArray());
      default -> throw new IllegalArgumentException("the SDK has no Arrow form of " + type.getTypeName());
    }
  }

  /** Fields of a NULL struct are NULL too. */
  private static void setNull(FieldVector vector, int i, TypeInfo type) {
    if (vector instanceof StructVector struct) {
      for (int field = 0; field < struct.size(); field++) {
        setNull((FieldVector) struct.getChildByOrdinal(field), i, ((StructTypeInfo) type).getFieldTypeInfos().get(field));
      }
    }
    while (vector.getValueCapacity() <= i) {
      vector.reAlloc();
    }
    vector.setNull(i);
  }

  private static void setList(ListVector list, int i, TypeInfo element, JsonArray values) {
    int start = list.startNewValue(i);
    for (int k = 0; k < values.size(); k++) {
      set(list.getDataVector(), start + k, element, values.get(k));
    }
    list.endValue(i, values.size());
  }

  private static void setMap(ListVector map, int i, MapTypeInfo type, JsonArray pairs) {
    int start = map.startNewValue(i);
    for (int k = 0; k < pairs.size(); k++) {
      setStruct((StructVector) map.getDataVector(), start + k, List.of(type.getKeyTypeInfo(), type.getValueTypeInfo()), pairs.get(k).getAsJsonArray());
    }
    map.endValue(i, pairs.size());
  }

  private static void setStruct(StructVector struct, int i, List<TypeInfo> types, JsonArray fields) {
    while (struct.getValueCapacity() <= i) {
      struct.reAlloc();
    }
    struct.setIndexDefined(i);
    for (int field = 0; field < types.size(); field++) {
      set((FieldVector) struct.getChildByOrdinal(field), i, types.get(field), fields.get(field));
    }
  }

  private static long nanos(LocalDateTime v) {
    return Math.addExact(Math.multiplyExact(v.toEpochSecond(ZoneOffset.UTC), NANOS_PER_SECOND), v.getNano());
  }

  private static IntervalDayHolder days(Canonical.Seconds v) {
    if (v.nanos() % 1_000_000 != 0) {
      throw new ArithmeticException("interval[day_time] counts milliseconds, it cannot hold " + v);
    }
    long millis = Math.addExact(Math.multiplyExact(v.seconds(), 1000L), v.nanos() / 1_000_000);
    IntervalDayHolder holder = new IntervalDayHolder();
    holder.days = Math.toIntExact(millis / MILLIS_PER_DAY);
    holder.milliseconds = (int) (millis % MILLIS_PER_DAY);
    return holder;
  }

  static JsonElement get(FieldVector vector, int i, TypeInfo type) {
    if (vector.isNull(i)) {
      return Canonical.nothing();
    }
    return switch (type.getOdpsType()) {
      case BOOLEAN -> new JsonPrimitive(((BitVector) vector).get(i) == 1);
      case TINYINT -> Canonical.integer(((TinyIntVector) vector).get(i));
      case SMALLINT -> Canonical.integer(((SmallIntVector) vector).get(i));
      case INT -> Canonical.integer(((IntVector) vector).get(i));
      case BIGINT -> Canonical.integer(((BigIntVector) vector).get(i));
      case FLOAT -> Canonical.ofFloat(((Float4Vector) vector).get(i));
      case DOUBLE -> Canonical.ofDouble(((Float8Vector) vector).get(i));
      case DECIMAL -> Canonical.decimal(((DecimalVector) vector).getObject(i), ((DecimalTypeInfo) type).getScale());
      case STRING, CHAR, VARCHAR, JSON -> new JsonPrimitive(new String(((VarCharVector) vector).get(i), StandardCharsets.UTF_8));
      case BINARY -> Canonical.bytes(((VarBinaryVector) vector).get(i));
      case DATE -> Canonical.date(LocalDate.ofEpochDay(((DateDayVector) vector).get(i)));
      case DATETIME -> Canonical.datetime(Instant.ofEpochMilli(((DateMilliVector) vector).get(i)));
      case TIMESTAMP, TIMESTAMP_NTZ -> Canonical.timestamp(Instant.ofEpochSecond(0, ((TimeStampNanoVector) vector).get(i)));
      case INTERVAL_YEAR_MONTH -> Canonical.integer(((IntervalYearVector) vector).get(i));
      case INTERVAL_DAY_TIME -> {
        NullableIntervalDayHolder holder = new NullableIntervalDayHolder();
        ((IntervalDayVector) vector).get(i, holder);
        yield Canonical.dayTime(Canonical.Seconds.of(holder.days * 86_400L, holder.milliseconds * 1_000_000L));
      }
      case ARRAY -> {
        ListVector list = (ListVector) vector;
        List<JsonElement> elements = new ArrayList<>();
        for (int k = list.getElementStartIndex(i); k < list.getElementEndIndex(i); k++) {
          elements.add(get(list.getDataVector(), k, ((ArrayTypeInfo) type).getElementTypeInfo()));
        }
        yield Canonical.list(elements);
      }
      case MAP -> getMap((ListVector) vector, i, (MapTypeInfo) type);
      case STRUCT -> {
        StructVector struct = (StructVector) vector;
        List<JsonElement> fields = new ArrayList<>();
        for (int field = 0; field < struct.size(); field++) {
          fields.add(get((FieldVector) struct.getChildByOrdinal(field), i, ((StructTypeInfo) type).getFieldTypeInfos().get(field)));
        }
        yield Canonical.list(fields);
      }
      default -> throw new IllegalArgumentException("the SDK has no Arrow form of " + type.getTypeName());
    };
  }

  private static JsonElement getMap(ListVector map, int i, MapTypeInfo type) {
    StructVector pairs = (StructVector) map.getDataVector();
    List<Map.Entry<JsonElement, JsonElement>> entries = new ArrayList<>();
    for (int k = map.getElementStartIndex(i); k < map.getElementEndIndex(i); k++) {
      entries.add(Map.entry(get((FieldVector) pairs.getChildByOrdinal(0), k, type.getKeyTypeInfo()),
          get((FieldVector) pairs.getChildByOrdinal(1), k, type.getValueTypeInfo())));
    }
    return Canonical.map(entries);
  }
}
