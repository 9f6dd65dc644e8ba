package check

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// How much of an answer is read at most, in bytes: of its head; and of its body where a regular expression looks into it, which has to have
// all of it in memory. A digest is made while it comes, until the time is over.
const (
	maxHead = 64 << 10
	maxBody = 1 << 20
)

// web is an HTTP_GET or SSL_GET.
type web struct {
	place
	conf *director.HTTPCheck
	tls  *tls.Config // of SSL_GET
	urls []page
}

type page struct {
	director.URL
	regex *regexp.Regexp
	text  string // of the request
	host  string // without a port: the TLS server name
}

func newHTTP(c *director.Config, k *director.Check, p place) (probe, error) {
	if k.HTTP == nil || len(k.HTTP.URLs) == 0 {
		return nil, errors.New("there is no url to ask for")
	}
	w := &web{place: p, conf: k.HTTP}
	if k.HTTP.TLS {
		var err error
		if w.tls, err = tlsOf(c.TLS); err != nil {
			return nil, err
		}
	}
	for _, u := range k.HTTP.URLs {
		g, err := w.page(u)
		if err != nil {
			return nil, err
		}
		w.urls = append(w.urls, g)
	}
	return simple(w.ask), nil
}

func (w *web) page(u director.URL) (page, error) {
	g := page{URL: u}
	if u.Regex != "" {
		pattern := u.Regex
		if u.ICase {
			pattern = "(?i)" + pattern
		}
		var err error
		if g.regex, err = regexp.Compile(pattern); err != nil {
			return g, fmt.Errorf("regex %q: %w", u.Regex, err)
		}
	}
	host := u.Host
	if host == "" {
		host = w.conf.Host
	}
	g.host = host
	if host == "" {
		host = w.to.Addr().String()
		if w.to.Addr().Is6() {
			host = "[" + host + "]"
		}
		if w.to.Port() != 80 && w.to.Port() != 443 {
			host += fmt.Sprintf(":%d", w.to.Port())
		}
	}
	version, closing := "HTTP/1.0", ""
	switch w.conf.Version {
	case "1.1":
		version, closing = "HTTP/1.1", "Connection: close\r\n"
	case "1.0C":
		closing = "Connection: close\r\n"
	}
	g.text = "GET " + u.Path + " " + version + "\r\nUser-Agent: Takt-Check\r\nHost: " + host + "\r\n" + closing + "\r\n"
	return g, nil
}

// ask asks for all pages, each on a connection of its own.
func (w *web) ask(ctx context.Context) error {
	for i := range w.urls {
		if err := w.get(ctx, &w.urls[i]); err != nil {
			return fmt.Errorf("%s: %w", w.urls[i].Path, err)
		}
	}
	return nil
}

func (w *web) get(ctx context.Context, g *page) error {
	c, err := w.dial(ctx, "tcp")
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if w.conf.TLS {
		c = w.encrypt(c, g)
	}
	if _, err := io.WriteString(c, g.text); err != nil {
		return plain(err, w.timeout)
	}
	limited := &io.LimitedReader{R: c, N: maxHead}
	answer, err := http.ReadResponse(bufio.NewReader(limited), &http.Request{Method: "GET"})
	if err != nil {
		return w.broken(err)
	}
	defer answer.Body.Close()
	if !g.accepts(answer.StatusCode) {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	limited.N = math.MaxInt64
	return w.look(g, answer.Body)
}

func (w *web) encrypt(c net.Conn, g *page) net.Conn {
	o := w.tls
	if w.conf.SNI {
		o = o.Clone()
		o.ServerName = g.host
	}
	return tls.Client(c, o)
}

func (w *web) broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the answer ends in the middle, or is too long")
	}
	if p := plain(err, w.timeout); p != err {
		return p
	}
	return fmt.Errorf("no HTTP answer: %v", strings.TrimSpace(err.Error()))
}

func (g *page) accepts(status int) bool {
	if len(g.Status) == 0 {
		return status >= 200 && status <= 299 || g.Digest != ""
	}
	for _, r := range g.Status {
		if status >= r[0] && status <= r[1] {
			return true
		}
	}
	return false
}

// look reads the body, where something is looked for in it.
func (w *web) look(g *page, body io.Reader) error {
	if g.Digest == "" && g.regex == nil {
		return nil
	}
	sum := md5.New()
	seen := io.TeeReader(body, sum)
	var text []byte
	var err error
	if g.regex != nil {
		text, err = io.ReadAll(io.LimitReader(seen, maxBody))
	}
	if g.Digest != "" && err == nil {
		_, err = io.Copy(io.Discard, seen)
	}
	if err != nil {
		return w.broken(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); g.Digest != "" && !strings.EqualFold(got, g.Digest) {
		return fmt.Errorf("the digest is %s", got)
	}
	if g.regex != nil {
		if found := g.found(text); found == g.RegexNot {
			return fmt.Errorf("regex %q: found: %v", g.Regex, found)
		}
	}
	return nil
}

// found says whether the body has a match that begins where it may.
func (g *page) found(text []byte) bool {
	for _, at := range g.regex.FindAllIndex(text, -1) {
		if at[0] >= g.MinStart && (g.MaxStart == 0 || at[0] <= g.MaxStart) {
			return true
		}
	}
	return false
}
