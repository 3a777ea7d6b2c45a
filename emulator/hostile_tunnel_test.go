package emulator_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestHostile_tunnel_requests_are_refused_without_effect(t *testing.T) {
	e := newEstate(t)
	const parts, none = "/projects/p/tables/parts", "/projects/p/tables/none"
	open := goldenTable + "?uploadid=" + e.open
	noUpload := func(method, target string) hostile { return hostile{method, target, "", nil, 404, "NoSuchUpload"} }
	bad := func(method, target string) hostile { return hostile{method, target, "", nil, 400, "InvalidArgument"} }
	spec := func(target string) hostile { return hostile{"POST", target, "", nil, 400, "InvalidPartitionSpec"} }
	e.refuse(false, []hostile{
		// What does not exist, or is not served.
		{"POST", "/projects/q/tables/golden?uploads", "", nil, 404, "NoSuchProject"},
		{"POST", "/projects//tables/golden?uploads", "", nil, 404, "NoSuchPath"},
		{"POST", none + "?uploads", "", nil, 404, "NoSuchTable"},
		{"POST", none + "?downloads", "", nil, 404, "NoSuchTable"},
		{"POST", none + "/streams", "", nil, 404, "NoSuchTable"},
		{"GET", none + "/preview?limit=1", "", nil, 404, "NoSuchTable"},
		{"POST", "/projects/p/schemas/s/tables/golden?uploads", "", nil, 404, "NoSuchTable"},
		{"POST", "/projects/p/schemas/none/tables/golden?downloads", "", nil, 404, "NoSuchTable"},
		{"DELETE", open, "", nil, 404, "NoSuchPath"},
		{"PATCH", goldenTable + "?downloadid=" + e.download, "", nil, 404, "NoSuchPath"},
		{"DELETE", goldenTable + "/streams?uploadid=" + e.stream, "", nil, 404, "NoSuchPath"},
		{"POST", goldenTable + "/upserts", "", nil, 404, "NoSuchPath"},
		{"PUT", goldenTable + "/upserts?upsertid=x", "", nil, 404, "NoSuchPath"},
		{"POST", "/api/storage/v1/projects/p/schemas/default/tables/golden/sessions?session_type=batch_write", "{}", nil, 404, "NoSuchPath"},
		{"POST", "/api/storage/v1/projects/p/tables/golden/sessions?session_type=batch_read", "{", nil, 400, "InvalidArgument"},
		{"GET", "/api/storage/v1/projects/p/tables/golden/data?session_id=x", "", nil, 404, "SessionNotFound"},
		{"POST", "/api/storage/v2?Action=x", "", nil, 404, "NoSuchPath"},

		// Partitions.
		spec(parts + "?uploads"), spec(parts + "?uploads&partition=pt=a"), spec(parts + "?uploads&partition=nonsense"), spec(parts + "?uploads&partition=pt='a"),
		spec(parts + "?uploads&partition=xx=a,hh=1"), spec(parts + "?uploads&partition=pt=a,hh=1,x=2"), spec(parts + "?uploads&partition=pt=a,pt=b"),
		spec(parts + "?uploads&partition=pt=b,hh=x&create_partition=true"), spec(parts + "?uploads&partition=pt=,hh=1&create_partition"),
		spec(parts + "/streams?partition=pt=b,hh=x&create_partition=true"), spec(goldenTable + "?uploads&partition=pt=a"),
		spec(goldenTable + "?downloads&partition=pt=a"), spec(parts + "?downloads&partition=garbage"),
		{"POST", parts + "?uploads&partition=pt=b,hh=1", "", nil, 404, "NoSuchPartition"},
		{"POST", parts + "?downloads&partition=pt=b,hh=1", "", nil, 404, "NoSuchPartition"},
		{"POST", parts + "/streams?partition=pt=b,hh=1", "", nil, 404, "NoSuchPartition"},

		// Upload sessions and blocks.
		noUpload("GET", goldenTable+"?uploadid=none"), noUpload("POST", goldenTable+"?uploadid=none"), noUpload("PUT", goldenTable+"?uploadid=none&blockid=1"),
		noUpload("GET", intsTable+"?uploadid="+e.open), noUpload("POST", intsTable+"?uploadid="+e.open), noUpload("PUT", intsTable+"?blockid=1&uploadid="+e.open),
		noUpload("POST", goldenTable+"?uploadid="+e.stream), noUpload("PUT", goldenTable+"?blockid=1&uploadid="+e.stream), noUpload("GET", goldenTable+"?uploadid=%00"),
		bad("PUT", open+"&blockid="), bad("PUT", open+"&blockid=x"), bad("PUT", open+"&blockid=-1"), bad("PUT", open+"&blockid=20000"), bad("PUT", open+"&blockid=0x1"),
		bad("PUT", open+"&blockid=1e3"), bad("PUT", open+"&blockid=99999999999999999999"), bad("PUT", open+"&blockid=1&block_version=x"),
		{"PUT", goldenTable + "?blockid=1&uploadid=" + e.closed, goldenRecords, nil, 409, "StatusConflict"},

		// Download sessions.
		{"GET", goldenTable + "?downloadid=none", "", nil, 404, "NoSuchDownload"},
		{"GET", goldenTable + "?downloadid=none&data&rowrange=(0,1)", "", nil, 404, "NoSuchDownload"},
		{"GET", intsTable + "?downloadid=" + e.download + "&data&rowrange=(0,1)", "", nil, 404, "NoSuchDownload"},
		bad("GET", goldenTable+"?data&rowrange=x&downloadid="+e.download), bad("GET", goldenTable+"?data&rowrange=(0)&downloadid="+e.download),
		bad("GET", goldenTable+"?data&rowrange=(-1,1)&downloadid="+e.download), bad("GET", goldenTable+"?data&rowrange=(0,-1)&downloadid="+e.download),
		bad("GET", goldenTable+"?data&rowrange=(0,99999999999999999999)&downloadid="+e.download), bad("GET", goldenTable+"?data&rowrange=(0,1)&columns=none&downloadid="+e.download),
		bad("GET", goldenTable+"?data&rowrange=(0,1)&columns=id,id&downloadid="+e.download), bad("GET", goldenTable+"?data&rowrange=(0,1)&columns=,&downloadid="+e.download),
		bad("GET", goldenTable+"/preview?limit=x"), bad("GET", goldenTable+"/preview?limit=99999999999999999999"),
		{"GET", parts + "/preview?limit=1&partition=garbage", "", nil, 400, "InvalidPartitionSpec"},

		// Streams.
		{"PUT", goldenTable + "/streams", goldenRecords, nil, 404, "StreamSessionNotFound"},
		{"PUT", goldenTable + "/streams?uploadid=none&slotid=0", goldenRecords, nil, 404, "StreamSessionNotFound"},
		{"PUT", goldenTable + "/streams?slotid=0&uploadid=" + e.open, goldenRecords, nil, 404, "StreamSessionNotFound"},
		{"PUT", intsTable + "/streams?slotid=0&uploadid=" + e.stream, goldenRecords, nil, 404, "StreamSessionNotFound"},
		{"GET", goldenTable + "/streams?uploadid=none", "", nil, 404, "StreamSessionNotFound"},
		bad("POST", goldenTable+"/streams?schema_version=x"),
		{"POST", goldenTable + "/streams?schema_version=99", "", nil, 404, "NoSuchSchema"},

		// Results of instances.
		{"POST", "/projects/p/instances/none?downloads", "", nil, 404, "NoSuchObject"},
		{"GET", "/projects/p/instances/none?downloadid=x&data", "", nil, 404, "NoSuchDownload"},
		{"GET", "/projects/p/instances/" + e.instance + "?downloadid=none&data&rowrange=(0,1)", "", nil, 404, "NoSuchDownload"},
		{"POST", "/projects/p/instances/" + e.instance + "?downloads", "", nil, 400, "InstanceTypeNotSupported"},
	})
}

// badRecords are record streams that no server may take, by what is wrong with them; goldenRecords with a change each.
func badRecords() map[string]struct{ body, code string } {
	type wrong = struct{ body, code string }
	const invalid, checksum = "InvalidArgument", "CheckSumError"
	change := func(at int, to string) string {
		return goldenRecords[:at] + to + goldenRecords[at+len(to):]
	}
	trailer := goldenRecords[len(goldenRecords)-15:]
	return map[string]wrong{
		"nothing":                        {"", invalid},
		"zeros":                          {strings.Repeat("\x00", 64), invalid},
		"ones":                           {strings.Repeat("\xff", 64), invalid},
		"text":                           {"id,name,price,ok\n25,Apple,5,false\n", invalid},
		"another value":                  {change(1, "\x34"), checksum},
		"another sum of the record":      {goldenRecords[:len(goldenRecords)-16] + "\x07" + trailer, checksum},
		"another sum of all":             {goldenRecords[:len(goldenRecords)-1] + "\x06", checksum},
		"another count":                  {strings.Replace(goldenRecords, "\xf0\xff\xff\x7f\x02", "\xf0\xff\xff\x7f\x04", 1), invalid},
		"a negative count":               {strings.Replace(goldenRecords, "\xf0\xff\xff\x7f\x02", "\xf0\xff\xff\x7f\x01", 1), invalid},
		"no trailer":                     {goldenRecords[:len(goldenRecords)-15], invalid},
		"a trailer alone, of one row":    {trailer, invalid},
		"twice the trailer":              {goldenRecords + trailer, invalid},
		"a fifth column":                 {"\x28\x02" + goldenRecords, invalid},
		"column zero":                    {"\x00\x02" + goldenRecords, invalid},
		"a column twice":                 {"\x08\x32" + goldenRecords, invalid},
		"a varint without end":           {"\x08" + strings.Repeat("\x80", 20), invalid},
		"a text longer than the body":    {"\x12\x7fApple", invalid},
		"a text of 2^62 bytes":           {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x3fApple", invalid},
		"a text longer than a field may": {"\x12\x81\x80\x80\x04" + strings.Repeat("x", 8<<20+1), invalid},
	}
}

func TestHostile_record_bodies_are_refused_without_effect(t *testing.T) {
	e := newEstate(t)
	var cases []hostile
	for name, wrong := range badRecords() {
		for _, target := range []string{goldenTable + "?blockid=1&why=" + strings.ReplaceAll(name, " ", "_") + "&uploadid=" + e.open, goldenTable + "/streams?slotid=0&uploadid=" + e.stream} {
			cases = append(cases, hostile{"PUT", target, wrong.body, nil, 400, wrong.code})
		}
	}
	block := goldenTable + "?blockid=1&uploadid=" + e.open
	for _, encoding := range []string{"deflate", "x-snappy-framed", "zstd", "x-lz4-frame", "x-odps-lz4-frame"} {
		cases = append(cases,
			hostile{"PUT", block, goldenRecords, []string{"Content-Encoding: " + encoding}, 400, "InvalidArgument"},
			hostile{"PUT", block, "", []string{"Content-Encoding: " + encoding}, 400, "InvalidArgument"},
			hostile{"PUT", block + "&arrow", goldenArrow, []string{"Content-Encoding: " + encoding}, 400, "InvalidArgument"})
	}
	for _, encoding := range []string{"gzip", "br", "cake", "deflate, zstd"} {
		cases = append(cases, hostile{"PUT", block, goldenRecords, []string{"Content-Encoding: " + encoding}, 400, "InvalidArgument"})
	}
	// Values that the columns do not hold: NULL in NOT NULL, and numbers out of range.
	ints := intsTable + "?blockid=1&uploadid=" + e.other
	cases = append(cases,
		hostile{"PUT", ints, unhex("80c0ff7f00 f0ffff7f02 f8ffff7fc7cb86c304"), nil, 400, "InvalidArgument"},
		hostile{"PUT", ints, unhex("08808080801080c0ff7f00f0ffff7f02f8ffff7f00"), nil, 400, "InvalidArgument"})
	e.refuse(false, cases)
	e.want(http.StatusOK, "PUT", block, goldenRecords) // what all of them were made from
}

func TestHostile_Arrow_bodies_are_refused_without_effect(t *testing.T) {
	e := newEstate(t)
	block := goldenTable + "?arrow&blockid=1&uploadid=" + e.open
	var cases []hostile
	bad := func(code, body string) { cases = append(cases, hostile{"PUT", block, body, nil, 400, code}) }
	bad("InvalidArgument", goldenRecords)
	bad("CheckSumError", goldenArrow[:200]+"\x5a"+goldenArrow[201:])
	bad("CheckSumError", goldenArrow[:len(goldenArrow)-1]+"\x00")
	bad("InvalidArgument", "\x00\x00\x00\x00"+goldenArrow[4:])
	bad("InvalidArgument", strings.Repeat("\xff", 64))
	bad("InvalidArgument", strings.Repeat("\x00", 64))
	for _, message := range []string{
		"garbage", strings.Repeat("\x00", 100), strings.Repeat("\xff", 100),
		"\xff\xff\xff\xff\xff\xff\xff\x7f" + goldenArrow[12:len(goldenArrow)-4], // metadata of 2 GiB
		"\xff\xff\xff\xff\xff\xff\xff\xff" + goldenArrow[12:len(goldenArrow)-4], // and of minus one byte
		"\xff\xff\xff\xff\x10\x00\x00\x00" + strings.Repeat("\x00", 16),
		goldenArrow[4:len(goldenArrow)-4] + "more",
		goldenArrow[4 : len(goldenArrow)-12],
	} {
		bad("InvalidArgument", framed(message))
	}
	e.refuse(false, cases)
	e.want(http.StatusOK, "PUT", block, goldenArrow)
}

// TestHostile_Arrow_messages_changed_at_any_byte sets each byte of a good message to several others, with good checksums around:
// whatever the server makes of it, it does not break.
func TestHostile_Arrow_messages_changed_at_any_byte(t *testing.T) {
	e := newEstate(t)
	message := goldenArrow[4 : len(goldenArrow)-4]
	open := goldenTable + "?arrow&blockid=1&uploadid=" + e.open
	for i := range message {
		for _, to := range []byte{message[i] ^ 1, message[i] ^ 0x80, 0, 0xff} {
			changed := message[:i] + string([]byte{to}) + message[i+1:]
			status, header, answer := e.send("PUT", open, framed(changed))
			if status == http.StatusOK {
				continue // a value, or what nobody reads
			}
			if code, err := errorCode(header, answer, false); err != nil || status != http.StatusBadRequest {
				t.Errorf("byte %d set to %#x = %d %s %v, want 200 or 400", i, to, status, code, err)
			}
		}
	}
}

// framed puts one chunk and its checksum around Arrow messages.
func framed(messages string) string {
	body := binary.BigEndian.AppendUint32(nil, 1<<16)
	body = append(body, messages...)
	return string(binary.BigEndian.AppendUint32(body, crc32.Checksum([]byte(messages), crc32.MakeTable(crc32.Castagnoli))))
}

func deflated(text string) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close() // a buffer takes everything
	return out.String()
}

// TestHostile_bodies_cut_at_any_byte sends each beginning of good bodies, once as all of the body, and once in a
// connection that breaks there.
func TestHostile_bodies_cut_at_any_byte(t *testing.T) {
	e := newEstate(t)
	block := goldenTable + "?blockid=1&uploadid=" + e.open
	for _, c := range []struct {
		name, target, body string
		headers            []string
		empty              []int // lengths that are good bodies of no rows
	}{
		{"records", block, goldenRecords, nil, nil},
		{"stream pack", goldenTable + "/streams?slotid=0&uploadid=" + e.stream, goldenRecords, nil, nil},
		{"records, deflated", block, deflated(goldenRecords), []string{"Content-Encoding: deflate"}, nil},
		{"Arrow", block + "&arrow", goldenArrow, nil, []int{0}},
		{"Arrow, deflated", block + "&arrow", deflated(goldenArrow), []string{"Content-Encoding: deflate"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &estate{T: t, server: e.server, open: e.open, other: e.other, closed: e.closed, stream: e.stream, download: e.download, instance: e.instance}
			defer e.client.CloseIdleConnections()
			before := e.fingerprint()
			for n := range len(c.body) {
				e.breakOff("PUT", c.target, c.body, n, c.headers...)
				if len(c.empty) > 0 && c.empty[0] == n {
					continue
				}
				status, header, answer := e.send("PUT", c.target, c.body[:n], c.headers...)
				code, err := errorCode(header, answer, false)
				if status != http.StatusBadRequest || err != nil || code != "InvalidArgument" && code != "CheckSumError" {
					t.Errorf("cut to %d of %d bytes = %d %s %v, want 400", n, len(c.body), status, answer, err)
				}
			}
			if after := e.fingerprint(); after != before {
				t.Errorf("something has changed: %s", difference(before, after))
			}
		})
	}
}

// breakOff announces a body, sends its beginning and nothing more, and waits until the server has noticed.
func (e *estate) breakOff(method, target, body string, n int, lines ...string) {
	e.Helper()
	conn, err := net.Dial("tcp", e.server.Addr())
	must(e.T, err)
	defer func() { must(e.T, conn.Close()) }()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h:1\r\nContent-Length: %d\r\n%s\r\n\r\n", method, target, len(body), strings.Join(append(lines, "Connection: close"), "\r\n"))
	_, err = io.WriteString(conn, head+body[:n])
	must(e.T, err)
	must(e.T, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		e.Errorf("broken off after %d of %d bytes = %q, want 400", n, len(body), brief(string(answer)))
	}
}
