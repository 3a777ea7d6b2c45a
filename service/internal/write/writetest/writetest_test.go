package writetest_test

import (
	"testing"

	"github.com/sluice-io/sluice/service/internal/ledger/ledgertest"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestLedgerSuite(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) write.Ledger { return writetest.NewLedger() }, nil)
}
