package store

import "syscall"

const syncFileRangeWrite = 2 // SYNC_FILE_RANGE_WRITE, sync_file_range(2)

// StartWriteback implements File. Its failure costs speed only: Sync decides.
func (f osFile) StartWriteback(offset, n int64) {
	_ = syscall.SyncFileRange(int(f.Fd()), offset, n, syncFileRangeWrite)
}
