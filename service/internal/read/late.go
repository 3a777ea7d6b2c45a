package read

import (
	"context"
	"errors"
	"time"
)

// downloadOf is the upstream session of partition i. A session over many partitions opens it here, at the first read,
// and checks that the partition has the rows that were planned; if not, the snapshot is gone: SESSION_EXPIRED.
func (e *Engine) downloadOf(ctx context.Context, snap *snapshot, i int) (string, error) {
	if id := snap.parts[i].download; id != "" {
		return id, nil
	}
	key := lateKey{snap.nonce, i}
	if id, ok := e.lateDownload(key); ok {
		return id, nil
	}
	d, err := e.download(ctx, snap, i)
	if err != nil {
		return "", err
	}
	if d.Rows != snap.parts[i].rows {
		return "", expired(errors.New("a partition was changed after the session was planned"))
	}
	end := snap.expires
	if own := d.Created.Add(e.cfg.SessionTTL); !d.Created.IsZero() && own.Before(end) {
		end = own
	}
	e.keepLate(key, lateDownload{d.ID, end})
	return d.ID, nil
}

func (e *Engine) lateDownload(key lateKey) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d, ok := e.late[key]
	if ok && !e.cfg.Now().Before(d.expires) {
		delete(e.late, key)
		return "", false
	}
	return d.id, ok
}

// keepLate remembers a late session; when there are too many, the expired ones go, and if there are none, all.
func (e *Engine) keepLate(key lateKey, d lateDownload) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.late) >= maxLate {
		e.dropExpired(e.cfg.Now())
	}
	if len(e.late) >= maxLate {
		clear(e.late)
	}
	e.late[key] = d
}

// dropExpired is called with mu held.
func (e *Engine) dropExpired(now time.Time) {
	for k, d := range e.late {
		if !now.Before(d.expires) {
			delete(e.late, k)
		}
	}
}
