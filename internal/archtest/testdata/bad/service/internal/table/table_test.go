package table

import (
	"testing"

	_ "github.com/aliyun/aliyun-odps-go-sdk/odps"
	_ "github.com/sluice-io/sluice/internal/testkit"
)

func TestMayDoAllThat(*testing.T) { go func() {}() }
