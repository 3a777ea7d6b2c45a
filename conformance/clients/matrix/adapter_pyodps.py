"""Matrix adapter of PyODPS and of SQL through it: `adapter_pyodps.py write|read --endpoint URL … --form FORM --columns FILE`."""

import argparse
import json
import sys

import pyarrow as pa
from odps import ODPS, options
from odps.tunnel import TableTunnel
from odps.tunnel.io.types import odps_schema_to_arrow_schema

import canonical
import literals


def half(rows):
    middle = (len(rows) + 1) // 2
    return [rows[:middle], rows[middle:]]


class Adapter:
    def __init__(self, args):
        options.local_timezone = False  # DATETIME is UTC
        options.allow_antique_date = True  # else it refuses dates before 1928
        options.retry_times = 1
        self.odps = ODPS("local", "local-secret", project=args.project, endpoint=args.endpoint)
        self.tunnel = TableTunnel(self.odps)
        with open(args.columns, encoding="utf-8") as file:
            columns = json.load(file)
        self.names = [c["name"] for c in columns]
        self.kinds = [canonical.parse_type(c["type"]) for c in columns]
        self.types = [c["type"] for c in columns]
        self.table = self.odps.get_table(args.table, schema=args.schema)
        self.where = dict(schema=args.schema) if args.schema else {}

    # -- writers -------------------------------------------------------------------------------------------------------------------

    def _records(self, session, rows):
        for row in rows:
            yield session.new_record([canonical.to_record(v, k) for v, k in zip(row, self.kinds, strict=True)])

    def write_record(self, rows):
        session = self.tunnel.create_upload_session(self.table.name, **self.where)
        for block, part in enumerate(half(rows)):
            with session.open_record_writer(block) as writer:
                for record in self._records(session, part):
                    writer.write(record)
        session.commit([0, 1])

    def write_arrow(self, rows):
        session = self.tunnel.create_upload_session(self.table.name, **self.where)
        schema = odps_schema_to_arrow_schema(session.schema)
        for block, part in enumerate(half(rows)):
            columns = [
                pa.array([canonical.to_arrow(row[i], kind) for row in part], field.type)
                for i, (kind, field) in enumerate(zip(self.kinds, schema, strict=True))
            ]
            with session.open_arrow_writer(block) as writer:
                writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        session.commit([0, 1])

    def write_stream(self, rows):
        session = self.tunnel.create_stream_upload_session(self.table.name, **self.where)
        for part in half(rows):
            with session.open_record_writer() as writer:
                for record in self._records(session, part):
                    writer.write(record)

    def write_insert(self, rows):
        for part in half(rows):
            selects = [
                "select " + ", ".join(literals.literal(v, k, t) for v, k, t in zip(row, self.kinds, self.types, strict=True)) for row in part
            ]
            self.odps.execute_sql(f"insert into {self.table.full_table_name} " + " union all ".join(selects))

    # -- readers -------------------------------------------------------------------------------------------------------------------

    def _from_records(self, reader, convert=canonical.from_record):
        return [[convert(record[n], k) for n, k in zip(self.names, self.kinds)] for record in reader]

    def _from_batches(self, batches):
        rows = []
        for batch in batches:
            columns = [batch.column(batch.schema.get_field_index(n)) for n in self.names]
            rows += [[canonical.from_arrow(c[i], k) for c, k in zip(columns, self.kinds)] for i in range(batch.num_rows)]
        return rows

    def read_record(self):
        session = self.tunnel.create_download_session(self.table.name, **self.where)
        with session.open_record_reader(0, session.count, columns=self.names) as reader:
            return self._from_records(reader)

    def read_arrow(self):
        session = self.tunnel.create_download_session(self.table.name, **self.where)
        with session.open_arrow_reader(0, session.count, columns=self.names) as reader:
            return self._from_batches(reader)

    def _select(self):
        columns = ", ".join(f"`{n}`" for n in self.names)
        return self.odps.execute_sql(f"select {columns} from {self.table.full_table_name} order by id")

    def read_instance_record(self):
        with self._select().open_reader(tunnel=True) as reader:
            return self._from_records(reader)

    def read_instance_arrow(self):
        with self._select().open_reader(tunnel=True, arrow=True) as reader:
            return self._from_batches(reader)

    def read_result(self):
        with self._select().open_reader(tunnel=False) as reader:
            return self._from_records(reader, canonical.from_result)

    def read_preview(self):
        with self.tunnel.open_preview_reader(self.table, limit=10000, columns=self.names, arrow=False) as reader:
            return self._from_records(reader)

    def read_preview_arrow(self):
        with self.tunnel.open_preview_reader(self.table, limit=10000, columns=self.names, arrow=True) as reader:
            return self._from_batches(reader)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("op", choices=("write", "read"))
    for flag in ("--endpoint", "--project", "--table", "--form", "--columns"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--schema")
    args = parser.parse_args()
    call = getattr(Adapter(args), f"{args.op}_{args.form.replace('-', '_')}")
    if args.op == "write":
        call([json.loads(line) for line in sys.stdin])
        return
    for row in call():
        print(json.dumps(row))


if __name__ == "__main__":
    main()
