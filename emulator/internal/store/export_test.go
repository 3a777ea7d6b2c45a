package store

import (
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// FailCommits makes every catalogue transaction fail as on a broken disk, before or
// after it took effect.
func FailCommits(s *Store, tookEffect bool) {
	s.commit = func(fn func(*bolt.Tx) error) error {
		if tookEffect {
			if err := s.db.Update(fn); err != nil {
				return err
			}
			return syscall.EIO
		}
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			_ = tx.Rollback()
			return err
		}
		_ = tx.Rollback()
		return syscall.EIO
	}
}

// HealCommits undoes FailCommits.
func HealCommits(s *Store) { s.commit = s.db.Update }

// MaxIdle is how many segments stay mapped that nobody reads.
const MaxIdle = maxIdle

// SkipsSync says whether transactions of the catalogue are not made durable.
func SkipsSync(s *Store) bool { return s.db.NoSync }
