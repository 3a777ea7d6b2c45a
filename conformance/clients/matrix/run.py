"""Every writer × every reader × every kind of value: `run.py --cut full|smoke`; README.md, "The matrix", says what this proves."""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

from odps import ODPS  # noqa: E402
from sluice_endpoint import ACCESS_ID, ACCESS_KEY, ROOT, Endpoint  # noqa: E402

PROJECT = "local"
ADAPTER_TIMEOUT = 300  # seconds; one call takes one or two
WORKERS = 2
SHOWN = 6  # differences told per pair


@dataclasses.dataclass(frozen=True)
class Form:
    """One way of one client, in one direction."""

    client: str
    form: str
    op: str
    command: tuple
    smoke: bool

    def __str__(self):
        return f"{self.client}/{self.form}"


def load_forms():
    forms = []
    for path in sorted((HERE / "clients").glob("*.json")):
        spec = json.loads(path.read_text())
        command = tuple(part.format(python=sys.executable, here=HERE, root=ROOT) for part in spec["command"])
        for op in ("write", "read"):
            forms += [Form(path.stem, form, op, command, form in spec["smoke"][op]) for form in spec[op]]
    return forms


def expand(value):
    """Long texts are written short in cases.json."""
    if isinstance(value, dict):
        return value["repeat"] * value["times"]
    return value


def load_cases():
    """The columns, and the rows: column i begins at its i-th value, so that NULLs and values of neighbours mix. Value 0 is NULL."""
    columns = json.loads((HERE / "cases.json").read_text())
    height = 1 + max(len(c["values"]) for c in columns)
    for i, column in enumerate(columns):
        values = [None] + [expand(v) for v in column["values"]]
        values += [None] * (height - len(values))
        column["rows"] = [values[(row + i) % height] for row in range(height)]
    return columns, height


def load_limits(columns, forms):
    """{(op, client/form, column): reason}; a name that does not exist is an error, not a limit."""
    known = {c["name"] for c in columns}
    limits = {}
    for entry in json.loads((HERE / "limits.json").read_text()):
        for form in entry["forms"]:
            match = [f for f in forms if str(f) == form and f.op == entry["op"]]
            if not match:
                sys.exit(f"limits.json: there is no {form} that can {entry['op']}")
            for column in entry["columns"]:
                if column not in known:
                    sys.exit(f"limits.json: there is no column {column}")
                limits[entry["op"], form, column] = entry["reason"]
    return limits


def same(got, want, type_text):
    """Canonical values are compared exactly; JSON as a document, since one may be spelt in several ways."""
    if type_text == "json" and isinstance(got, str) and isinstance(want, str):
        return json.loads(got) == json.loads(want)
    return got == want


class Matrix:
    def __init__(self, endpoint, columns, height, limits, keep):
        self.endpoint, self.columns, self.height, self.limits, self.scratch = endpoint, columns, height, limits, keep
        self.odps = ODPS(ACCESS_ID, ACCESS_KEY, project=PROJECT, endpoint=endpoint.url)
        self.id = {"name": "id", "type": "bigint", "rows": [str(i) for i in range(height)]}

    def allowed(self, *forms):
        """The columns that all these forms can do."""
        return [c for c in self.columns if not any((f.op, str(f), c["name"]) in self.limits for f in forms)]

    def call(self, form, table, columns, rows=None):
        """Runs an adapter; its output, or an error with what it said."""
        columns_file = self.scratch / f"{table}.{form.op}.{form.client}.{form.form}.json"
        columns_file.write_text(json.dumps([{"name": c["name"], "type": c["type"]} for c in columns]))
        command = [*form.command, form.op, "--endpoint", self.endpoint.url, "--project", PROJECT, "--table", table]
        command += ["--form", form.form, "--columns", str(columns_file)]
        given = "".join(json.dumps(row) + "\n" for row in rows) if rows is not None else ""
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=ADAPTER_TIMEOUT, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"{form} {form.op}: exit status {done.returncode}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def write(self, form, table, columns):
        columns = [self.id, *columns]
        declared = ", ".join(f"`{c['name']}` {c['type']}" for c in columns)
        self.odps.execute_sql(f"create table {table} ({declared})")
        self.call(form, table, columns, zip(*(c["rows"] for c in columns)))

    def read(self, form, table, columns):
        """Cells that differ, as text."""
        columns = [self.id, *columns]
        rows = [json.loads(line) for line in self.call(form, table, columns).splitlines()]
        if len(rows) != self.height or any(len(row) != len(columns) for row in rows):
            raise RuntimeError(f"{form} read {len(rows)} rows of widths {sorted({len(r) for r in rows})}, want {self.height} of {len(columns)}")
        wrong = []
        for i, column in enumerate(columns):
            for row, want in zip(rows, column["rows"]):
                if not same(row[i], want, column["type"]):
                    wrong.append(f"{column['name']} ({column['type']}): got {brief(row[i])}, want {brief(want)}")
        return wrong

    def alone(self, column, writer, reader):
        """Writes and reads one column by itself: None if all is well, else what happened."""
        table = f"alone_{column['name']}_{writer.client}_{writer.form}_{reader.client}_{reader.form}".replace("-", "_")
        try:
            self.write(writer, table, [column])
            return self.try_read(reader, table, [column])
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return last_line(error)
        finally:
            self.odps.delete_table(table, if_exists=True)

    def try_read(self, reader, table, columns):
        """None if all cells are right, else what happened."""
        try:
            wrong = self.read(reader, table, columns)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return last_line(error)
        return wrong[0] if wrong else None


def last_line(error):
    """Adapters tell the reason last: the end of a traceback, a message, or the body of an answer."""
    return str(error).splitlines()[-1][-400:]


def brief(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 120 else text[:100] + f"… ({len(text)} characters)"


def run_writers(matrix, writers, pool):
    """{writer: None or the error}; each writer gets one table of all columns that it can do."""

    def write(writer):
        try:
            for table, columns in tables_of(writer, matrix.allowed(writer)).items():
                matrix.write(writer, table, columns)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return last_line(error)
        return None

    return dict(zip(writers, pool.map(write, writers)))


def tables_of(writer, columns):
    """{table: its columns}. Some types spoil a whole table for some client, and have one of their own."""
    tables = {}
    for column in columns:
        name = f"m_{writer.client}_{writer.form}_{column.get('table', 'a')}".replace("-", "_")
        tables.setdefault(name, []).append(column)
    return tables


def run_pairs(matrix, writers, readers, failed_writers, pool):
    """{(writer, reader): (passed cells, all cells, what is wrong)}."""

    def pair(key):
        writer, reader = key
        passed, cells, wrong = 0, 0, []
        for table, columns in tables_of(writer, matrix.allowed(writer, reader)).items():
            size = (len(columns) + 1) * matrix.height
            cells += size
            if failed_writers[writer]:
                continue
            try:
                differing = matrix.read(reader, table, columns)
                passed, wrong = passed + size - len(differing), wrong + differing
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                wrong.append(f"table {table}: {last_line(error)}")
        return passed, cells, wrong

    keys = [(w, r) for w in writers for r in readers]
    return dict(zip(keys, pool.map(pair, keys)))


def pick(matrix, column, forms, preferred="pyodps/record"):
    """A form that can do this column, PyODPS's records if possible."""
    able = [f for f in forms if (f.op, str(f), column["name"]) not in matrix.limits]
    return next((f for f in able if str(f) == preferred), able[0] if able else None)


def run_limits(matrix, chosen, forms, written, pool):
    """Each limit of the chosen forms is tried, over the tables written where there is one: what works is no limit.

    Returns (hit, [text of each stale entry]).
    """
    writers, readers = ([f for f in forms if f.op == op] for op in ("write", "read"))
    by_name = {c["name"]: c for c in matrix.columns}

    def attempt(item):
        (op, form_name, column_name), _ = item
        column = by_name[column_name]
        form = next(f for f in (writers if op == "write" else readers) if str(f) == form_name)
        other = pick(matrix, column, readers if op == "write" else writers)
        if other is None:
            return f"{form_name} {op} {column_name}: no other client can do it, so nothing proves the limit"
        if op == "write":
            outcome = matrix.alone(column, form, other)
        elif other in written:
            [(table, columns)] = tables_of(other, [column]).items()
            outcome = matrix.try_read(form, table, columns)
        else:
            outcome = matrix.alone(column, other, form)
        if outcome is None:
            return f"{form_name} {op} {column_name}: works, so it is no limit"
        return None

    picked = {(f.op, str(f)) for f in chosen}
    items = [item for item in matrix.limits.items() if item[0][:2] in picked]
    stale = [text for text in pool.map(attempt, items) if text]
    return len(items) - len(stale), stale


def explain(matrix, pairs, failed_writers, readers, pool):
    """Says what went wrong; with a pool, a form that failed as a whole is tried column by column."""
    for writer, error in failed_writers.items():
        if error:
            print(f"\n{writer} write: {error}")
        if error and pool:
            columns = matrix.allowed(writer)
            tried = pool.map(lambda c: matrix.alone(c, writer, pick(matrix, c, readers)), columns)
            print_each(columns, tried)
    for (writer, reader), (passed, cells, wrong) in pairs.items():
        if passed == cells or failed_writers[writer]:
            continue
        print(f"\n{writer} → {reader}: {passed} of {cells} cells")
        for text in wrong[:SHOWN]:
            print(f"  {text}")
        if len(wrong) > SHOWN:
            print(f"  and {len(wrong) - SHOWN} more; in all {' '.join(sorted({w.split(' ')[0] for w in wrong}))}")
        if pool and any(text.startswith("table ") for text in wrong):
            columns = matrix.allowed(writer, reader)
            print_each(columns, pool.map(lambda c: matrix.alone(c, writer, reader), columns))


def print_each(columns, outcomes):
    alike = {}
    for column, outcome in zip(columns, outcomes):
        if outcome:
            alike.setdefault(outcome.replace(column["name"], "…").split("RequestId")[0], []).append(column["name"])
    for outcome, names in alike.items():
        print(f"  alone, {' '.join(names)}: {outcome}")


def print_table(pairs, writers, readers):
    print("\ncells passed, writer down, reader across")
    for number, reader in enumerate(readers, 1):
        print(f"  {number:2d} {reader}")
    width = max(len(str(w)) for w in writers)
    print(" " * width + "".join(f"{i:>10d}" for i in range(1, len(readers) + 1)))
    for writer in writers:
        cells = []
        for reader in readers:
            passed, total, _ = pairs[writer, reader]
            cells.append(f"{passed}" if passed == total else f"{passed}/{total}")
        print(f"{writer!s:<{width}}" + "".join(f"{c:>10}" for c in cells))


def check_reach(matrix, writers, readers):
    """A column that no client can write, or none can read, is not tested at all."""
    return [
        f"{c['name']}: no {op} form can do it"
        for c in matrix.columns
        for op, forms in (("write", writers), ("read", readers))
        if pick(matrix, c, forms) is None
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cut", choices=("full", "smoke"), default="full")
    parser.add_argument("--writers", help="only these, as client/form,client/form")
    parser.add_argument("--readers", help="only these")
    parser.add_argument("--explain", action="store_true", help="try a form that failed as a whole column by column; slow")
    args = parser.parse_args()

    forms = load_forms()
    columns, height = load_cases()
    limits = load_limits(columns, forms)
    chosen = [f for f in forms if args.cut == "full" or f.smoke]
    writers = [f for f in chosen if f.op == "write" and (not args.writers or str(f) in args.writers.split(","))]
    readers = [f for f in chosen if f.op == "read" and (not args.readers or str(f) in args.readers.split(","))]

    with Endpoint() as endpoint, tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        matrix = Matrix(endpoint, columns, height, limits, pathlib.Path(scratch))
        failed_writers = run_writers(matrix, writers, pool)
        pairs = run_pairs(matrix, writers, readers, failed_writers, pool)
        written = [w for w in writers if not failed_writers[w]]
        hit, stale = run_limits(matrix, [*writers, *readers], forms, written, pool) if args.cut == "full" else (0, [])
        explain(matrix, pairs, failed_writers, [f for f in forms if f.op == "read"], pool if args.explain else None)
    stale += check_reach(matrix, *([f for f in forms if f.op == op] for op in ("write", "read")))

    print_table(pairs, writers, readers)
    print(f"\n{len(columns)} kinds of values, {height} rows, {len(writers)} writers × {len(readers)} readers")
    if args.cut == "full":
        print(f"limits: {hit} proven by trying, {len(stale)} wrong")
        print("".join(f"  {text}\n" for text in stale), end="")
    passed = sum(p for p, _, _ in pairs.values()) + hit
    failed = sum(total - p for p, total, _ in pairs.values()) + len(stale)
    print(f"matrix: {passed} passed, {failed} failed, 0 skipped (cells and limits)")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
