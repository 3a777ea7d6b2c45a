package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// answerWithin is how long an endpoint has at the start before it is called silent.
const answerWithin = 10 * time.Second

// warnOfSilence logs one line for each endpoint that does not answer. Any HTTP answer will do: whether the credentials
// are right, the first call tells. The service serves all the same, and clients keep trying.
func warnOfSilence(ctx context.Context, logger *slog.Logger, endpoints ...string) {
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       answerWithin,
	}
	for _, endpoint := range endpoints {
		if endpoint == "" {
			continue
		}
		if err := answers(ctx, client, endpoint); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "the endpoint does not answer: calls end with BACKEND_UNAVAILABLE until it does",
				slog.String("endpoint", endpoint), slog.String("err", err.Error()))
		}
	}
}

func answers(ctx context.Context, client *http.Client, endpoint string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err // without the endpoint, which stands beside it
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
