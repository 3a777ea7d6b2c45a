package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Goals of the programs.
const (
	goalReadyMillis = 300
	goalSizeMB      = 40
	readyID         = "sluice_dev/ready"
	sizeID          = "sluiced/size"
)

// readyGroup is how long `sluice dev` takes from its start to the line that says it is ready, with an empty data folder.
func readyGroup() group {
	return group{rows: []string{readyID}, run: func(ctx context.Context, r *runner) error {
		fmt.Fprintln(r.progress, "running", readyID)
		var took []float64
		for i := range r.cfg.runs + 1 {
			d, err := r.startDev(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", readyID, err)
			}
			if i > 0 { // the first brought the program into memory
				took = append(took, float64(d)/float64(time.Millisecond))
			}
		}
		r.add(absolute(readyID, "ms", took, goalReadyMillis))
		return nil
	}}
}

// startDev starts the program, waits for its line, and ends it.
func (r *runner) startDev(ctx context.Context) (took time.Duration, err error) {
	dir, err := os.MkdirTemp(r.dir, "dev-")
	if err != nil {
		return 0, fmt.Errorf("make folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.cfg.bin, "sluice"), "dev", "--listen", "127.0.0.1:0", "--endpoint-listen", "127.0.0.1:0", "--data", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("start sluice: %w", err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start sluice (`make build` makes it): %w", err)
	}
	defer func() {
		stopped := errors.Join(cmd.Process.Signal(syscall.SIGTERM), drain(out), cmd.Wait())
		if stopped != nil {
			err = errors.Join(err, fmt.Errorf("stop sluice: %w", stopped))
		}
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready ") {
			return time.Since(begun), nil
		}
	}
	return 0, errors.Join(errors.New("sluice dev ended without its ready line"), lines.Err())
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// sizeGroup is the size of the service's program.
func sizeGroup() group {
	return group{rows: []string{sizeID}, run: func(_ context.Context, r *runner) error {
		info, err := os.Stat(filepath.Join(r.cfg.bin, "sluiced"))
		if err != nil {
			return fmt.Errorf("size of sluiced (`make build` makes it): %w", err)
		}
		r.add(absolute(sizeID, "MB", []float64{float64(info.Size()) / 1e6}, goalSizeMB))
		return nil
	}}
}
