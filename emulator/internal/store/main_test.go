package store_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, childWrites(dir)) // it returns only on an error
		os.Exit(3)
	}
	goleak.VerifyTestMain(m)
}
