"""Uploads rows with PyODPS and tells what CPU time that took this process: {"cpu": seconds}. Run by internal/bench.

Making the rows is not counted; writing them to the tunnel and committing is.
"""

import argparse
import datetime
import json
import os

import pyarrow as pa
from odps import ODPS
from odps.tunnel import TableTunnel


def cpu():
    t = os.times()
    return t.user + t.system


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--endpoint", required=True)
    args.add_argument("--project", required=True)
    args.add_argument("--form", choices=["records", "arrow"], required=True)
    args.add_argument("--rows", type=int, required=True)
    args = args.parse_args()
    odps = ODPS("local", "local-secret", project=args.project, endpoint=args.endpoint)
    name = "bench_" + args.form
    odps.delete_table(name, if_exists=True)
    table = odps.create_table(name, "id bigint, name string, score double, flag boolean, ts timestamp")
    start = datetime.datetime(2024, 1, 1)
    rows = [[i, f"user number {i:08d}", i / 7, i % 2 == 0, start + datetime.timedelta(milliseconds=i)] for i in range(args.rows)]
    if args.form == "arrow":
        columns = [list(c) for c in zip(*rows)]
        types = [pa.int64(), pa.string(), pa.float64(), pa.bool_(), pa.timestamp("ns")]
        data = pa.table({c.name: pa.array(v, t) for c, v, t in zip(table.table_schema.columns, columns, types)})

    begun = cpu()
    session = TableTunnel(odps).create_upload_session(name)
    if args.form == "arrow":
        with session.open_arrow_writer(0) as writer:
            for batch in data.to_batches(max_chunksize=65536):
                writer.write(batch)
    else:
        with session.open_record_writer(0) as writer:
            for row in rows:
                writer.write(table.new_record(row))
    session.commit([0])
    used = cpu() - begun

    session = TableTunnel(odps).create_download_session(name)
    if session.count != args.rows:
        raise SystemExit(f"{session.count} rows arrived of {args.rows}")
    print(json.dumps({"cpu": used}))


if __name__ == "__main__":
    main()
