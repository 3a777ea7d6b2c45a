package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// killRounds is how many seeded rounds a kill test makes; SLUICE_FAULT_ROUNDS changes it.
func killRounds(t *testing.T, rounds int) int {
	t.Helper()
	if text := os.Getenv("SLUICE_FAULT_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return rounds
}

// devProcess is `sluice dev` as a process that may be killed and started again at the same addresses.
type devProcess struct {
	t                    *testing.T
	data, grpc, endpoint string
	cmd                  *exec.Cmd
}

func startDevProcess(t *testing.T) *devProcess {
	t.Helper()
	t.Setenv(beSluice, "1")
	d := &devProcess{t: t, data: t.TempDir(), grpc: closedAddress(t), endpoint: closedAddress(t)}
	d.start()
	t.Cleanup(d.kill)
	return d
}

func (d *devProcess) start() {
	d.t.Helper()
	program, err := os.Executable()
	if err != nil {
		d.t.Fatal(err)
	}
	d.cmd = exec.Command(program, "dev", "--listen", d.grpc, "--endpoint-listen", d.endpoint, "--data", d.data)
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready ") {
		d.t.Fatalf("sluice dev said %q, %v", line, err)
	}
}

// kill is SIGKILL, and waits for the process to be gone.
func (d *devProcess) kill() {
	d.t.Helper()
	if d.cmd == nil {
		return
	}
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Errorf("kill: %v", err)
	}
	_ = d.cmd.Wait() // says "killed"
	d.cmd = nil
}

// The whole server is killed at random moments of an import and started again. The writer goes on by itself, and the table ends
// with exactly the rows written.
func TestTW_34_KilledServerLosesNothing(t *testing.T) {
	d := startDevProcess(t)
	c, err := client.Dial(t.Context(), d.grpc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	mustSluice(t, "table", "create", "rows", "-c", "id bigint", "-c", "s string", "--addr", d.grpc)
	for round := range killRounds(t, 6) {
		killRound(t, d, c, round)
	}
}

func killRound(t *testing.T, d *devProcess, c *client.Client, round int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(round), 7))
	total, kills := int64(20_000+rng.IntN(200_000)), map[int64]bool{}
	for range 1 + rng.IntN(2) {
		kills[rng.Int64N(total)] = true
	}
	w, err := c.NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("rows"), ReplayBytes: 16 << 20})
	if err != nil {
		t.Fatalf("round %d: open: %v", round, err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := w.Rows()
	if err != nil {
		t.Fatal(err)
	}
	flushAt := rng.Int64N(total)
	for id := range total {
		rows.SetInt64(0, id)
		rows.SetString(1, "row "+strconv.FormatInt(id, 10)+strings.Repeat(".", int(id%100)))
		if err := rows.End(); err != nil {
			t.Fatalf("round %d: row %d: %v", round, id, err)
		}
		if id == flushAt {
			if _, err := w.Flush(t.Context()); err != nil {
				t.Fatalf("round %d: flush: %v", round, err)
			}
		}
		if kills[id] {
			d.kill()
			d.start()
		}
	}
	if err := rows.Flush(); err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	sealed, err := sealWhileKilled(t, d, w, rng)
	if err != nil {
		t.Fatalf("round %d: seal: %v, %+v", round, err, w.Progress())
	}
	if sealed.Rows != total {
		t.Errorf("round %d: %d rows sealed, want %d", round, sealed.Rows, total)
	}
	if err := exactly(t, c, total); err != nil {
		t.Errorf("round %d, %d rows, kills at %v, %d resumes: %v", round, total, kills, w.Progress().Resumes, err)
	}
}

// sealWhileKilled seals; in two rounds of three the server is killed at some moment of it, the commit included.
func sealWhileKilled(t *testing.T, d *devProcess, w *client.Writer, rng *rand.Rand) (*client.Sealed, error) {
	t.Helper()
	if rng.IntN(3) == 0 {
		return w.Seal(t.Context())
	}
	moment := time.NewTimer(time.Duration(rng.IntN(60)) * time.Millisecond) // any moment will do
	var sealed *client.Sealed
	var err error
	var sealing sync.WaitGroup
	sealing.Go(func() { sealed, err = w.Seal(t.Context()) })
	<-moment.C
	d.kill()
	d.start()
	sealing.Wait()
	return sealed, err
}

// An import that is killed in the middle goes on where its run stood, and is done when it was done.
func TestKilledImportIsResumed(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	source := filepath.Join(testdata, "zipcodes.csv")
	mustSluice(t, "table", "create", "zips", "--from", source)
	job := []string{"table", "import", source, "zips", "--run", "zips-1", "--slices", "2", "-q"}
	killAtBarrier(t, append(job, "--hold-after", "10000"))
	out := mustSluice(t, append(job, "--resume")...)
	if !strings.Contains(out, "committed") {
		t.Errorf("resumed import said %q", out)
	}
	if out := mustSluice(t, append(job, "--resume", "--json")...); !strings.Contains(out, `"state": "COMMITTED"`) {
		t.Errorf("import resumed after its commit said %q", out)
	}
	back := filepath.Join(t.TempDir(), "back.csv")
	mustSluice(t, "table", "export", "zips", back, "-q")
	if sortedRows(t, source) != sortedRows(t, back) {
		t.Error("rows differ")
	}
}

// killAtBarrier runs a command in a process until it holds, and kills it.
func killAtBarrier(t *testing.T, args []string) {
	t.Helper()
	cmd, _, _ := startHolding(t, args...)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // says "killed"
}

// exactly reads the table and checks that it holds the ids 0 … total−1, each once, with their texts.
func exactly(t *testing.T, c *client.Client, total int64) (err error) {
	t.Helper()
	reader, err := c.Read(t.Context(), client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{Table: client.TableName("rows")}})
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	seen := make([]bool, total)
	for reader.Next() {
		rec := reader.RecordBatch()
		ids, texts := rec.Column(0).(*array.Int64), rec.Column(1).(*array.String)
		for i := range ids.Len() {
			id := ids.Value(i)
			if id < 0 || id >= total || seen[id] {
				return fmt.Errorf("row %d is there twice, or not ours", id)
			}
			seen[id] = true
			if want := "row " + strconv.FormatInt(id, 10) + strings.Repeat(".", int(id%100)); texts.Value(i) != want {
				return fmt.Errorf("row %d is %q", id, texts.Value(i))
			}
		}
	}
	if err := reader.Err(); err != nil {
		return err
	}
	for id, there := range seen {
		if !there {
			return fmt.Errorf("row %d is missing", id)
		}
	}
	return nil
}
