package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// heldBy names the process that has locked the catalogue file, as " (process 123)"; empty where the system does not tell,
// as about a process in another container.
func heldBy(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return ""
	}
	defer locks.Close()                                               // read only: nothing is lost with an error
	if pid := lockOwner(locks, uint64(stat.Dev), stat.Ino); pid > 0 { //nolint:unconvert // Dev is a uint32 on some machines
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}

// lockOwner finds the process that holds a flock on a file in the lines of /proc/locks, see proc_locks(5):
//
//	1: FLOCK  ADVISORY  WRITE 24188 fe:00:9986213 0 EOF
//
// It is 0 if there is none. A line of one that waits has -> before FLOCK.
func lockOwner(locks io.Reader, dev, inode uint64) int {
	major, minor := dev>>8&0xfff|dev>>32&^0xfff, dev&0xff|dev>>12&^0xff // makedev(3)
	file := fmt.Sprintf("%02x:%02x:%d", major, uint32(minor), inode)    //nolint:gosec // a minor number has 32 bits
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		pid := 0
		if _, err := fmt.Sscan(fields[4], &pid); err == nil {
			return pid
		}
	}
	return 0
}
