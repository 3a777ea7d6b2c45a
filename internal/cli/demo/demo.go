package demo

import (
	"context"
	"io"
)

type Demo struct {
	Out, Err io.Writer
	Data     string
}

func (d *Demo) Run(ctx context.Context) error { return nil }
