package keepalived

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// What the draft asks of keys, in bytes.
const (
	minKey = 32
	maxKey = 64
)

// hmacTable is auth_hmac, which came with keepalived 2.4.
func hmacTable() table {
	hmac := func(r *reader) *director.HMAC { return given(&r.inst.HMAC) }
	return table{block: "auth_hmac", rows: []row{
		again(takes("key", "<1..255> <STRING>|hex:<HEX>|file:<PATH>", "of 32 to 64 bytes, and its number; several, while one takes the place of another", 2, 2, hmacKey)),
		num("active_key", "the key that adverts are sent with (default: the only one)", 1, 255, func(r *reader) *int { return &hmac(r).Active }),
		takes("anti_replay", "time|monotonic", "whether the time must fit, or only grow (default: time)", 1, 1, func(r *reader, c *call) {
			if w, ok := r.oneOf(c, "time", "monotonic"); ok {
				hmac(r).Monotonic = w == "monotonic"
			}
		}),
		secs("time_window", "how far the clocks may be apart (default: three adverts, and 5 at least)", 1, 300, func(r *reader) *time.Duration { return &hmac(r).Window }),
		takes("mode", "enforce|permissive|receive-only", "whether adverts without it are taken, and whether ours have one (default: enforce)", 1, 1, func(r *reader, c *call) {
			if w, ok := r.oneOf(c, string(director.HMACEnforce), string(director.HMACPermissive), string(director.HMACReceiveOnly)); ok {
				hmac(r).Mode = director.HMACMode(w)
			}
		}),
	}}
}

// oneOf reads a value that must be one of some.
func (r *reader) oneOf(c *call, of ...string) (string, bool) {
	if slices.Contains(of, c.arg(0)) {
		return c.arg(0), true
	}
	r.fail(c.args[0].pos, "%s: %q is none of %s", c.text, c.arg(0), strings.Join(of, ", "))
	return "", false
}

// hmacKey reads a key. No message says anything of it.
func hmacKey(r *reader, c *call) {
	h := given(&r.inst.HMAC)
	id, ok := r.number(c, 0, 1, 255)
	if !ok {
		return
	}
	if slices.ContainsFunc(h.Keys, func(k director.HMACKey) bool { return k.ID == id }) {
		r.fail(c.args[0].pos, "key: %d is there already", id)
		return
	}
	at, text := c.args[1].pos, c.arg(1)
	h.Keys = append(h.Keys, director.HMACKey{ID: id})
	if path, is := strings.CutPrefix(text, "file:"); is {
		if r.o.Machine.Secret == nil { // of another machine
			return
		}
		data, err := r.o.Machine.Secret(path)
		if err != nil {
			r.fail(at, "key: %s cannot be read: %v", path, err)
			return
		}
		text = strings.TrimRight(data, "\r\n")
	}
	if digits, is := strings.CutPrefix(text, "hex:"); is {
		data, err := hex.DecodeString(digits)
		if err != nil {
			r.fail(at, "key: what follows hex: is no even number of hexadecimal digits")
			return
		}
		text = string(data)
	}
	if len(text) < minKey || len(text) > maxKey {
		r.fail(at, "key: it has %d bytes, not %d to %d (openssl rand -hex %d makes one, to stand behind hex:)", len(text), minKey, maxKey, minKey)
		return
	}
	h.Keys[len(h.Keys)-1].Key = director.Secret(text)
}

// finishHMAC fills in what was not said.
func (r *reader) finishHMAC(i *instance) {
	h := i.HMAC
	_, other := i.at["authentication"]
	at, said := i.where("auth_hmac"), false
	if _, said = i.at["auth_hmac"]; !said {
		return
	}
	switch {
	case other:
		r.fail(at, "%s: it has authentication as well: choose one", i.Name)
	case h == nil || len(h.Keys) == 0:
		r.fail(at, "%s: auth_hmac without a key", i.Name)
	case h.Active == 0 && len(h.Keys) > 1:
		r.fail(at, "%s: auth_hmac has several keys: active_key says which one adverts are sent with", i.Name)
	case h.Active != 0 && !slices.ContainsFunc(h.Keys, func(k director.HMACKey) bool { return k.ID == h.Active }):
		r.fail(at, "%s: active_key %d is not there", i.Name, h.Active)
	default:
		if h.Active == 0 {
			h.Active = h.Keys[0].ID
		}
		if h.Mode == "" {
			h.Mode = director.HMACEnforce
		}
		if h.Window == 0 {
			h.Window = max(3*i.Advert, 5*time.Second)
		}
		slices.SortFunc(h.Keys, func(a, b director.HMACKey) int { return a.ID - b.ID })
	}
}
