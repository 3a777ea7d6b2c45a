package table

import _ "github.com/sluice-io/sluice/internal/testkit"
