package rpc

import (
	"testing"

	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
