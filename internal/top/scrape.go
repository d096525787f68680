package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"
)

// maxHeader is the most bytes of an answer's header.
const maxHeader = 64 << 10

// A scraper is a source that reads metrics as Prometheus does.
type scraper struct {
	address string // unix:PATH or HOST:PORT
	client  http.Client
}

// newScraper returns what reads metrics at an address. Every look connects anew, so that
// a server that was replaced is found.
func newScraper(address string) *scraper {
	dial := func(ctx context.Context, network, host string) (net.Conn, error) {
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			network, host = "unix", path
		}
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	return &scraper{address, http.Client{
		Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// url returns what is asked for.
func (s *scraper) url() string {
	host := s.address
	if strings.HasPrefix(s.address, "unix:") {
		host = "localhost"
	}
	return "http://" + host + "/metrics"
}

func (s *scraper) ask(ctx context.Context) (*totals, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	asked := time.Now()
	text, arrived, err := s.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.address, err)
	}
	parser := expfmt.NewTextParser(promodel.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err == nil {
		var t *totals
		if t, err = totalsOf(families, asked, arrived); err == nil {
			return t, nil
		}
	}
	// The error's text may be that of the answer, which can be anything.
	return nil, fmt.Errorf("%s: the answer is no metrics of credrpc; is it where credrpc serve --metrics serves them?", s.address)
}

// get returns the metrics as text, and when they had been taken.
func (s *scraper) get(ctx context.Context) (text []byte, arrived time.Time, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(), nil)
	if err != nil {
		return nil, arrived, err
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, arrived, reason(err)
	}
	defer response.Body.Close()
	arrived = time.Now()
	if response.StatusCode != http.StatusOK {
		return nil, arrived, fmt.Errorf("the server answers with status %d, want %d", response.StatusCode, http.StatusOK)
	}
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return text, arrived, err
}

// reason returns err without what its readers know: the address and the method.
func reason(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var dialled *net.OpError
	if errors.As(err, &dialled) && dialled.Op == "dial" {
		err = dialled.Err
	}
	return err
}
