package fence

import (
	"encoding/json"
	"log/slog"
	"strings"
)

// Params are the parameters of an agent. However they are printed, logged or
// marshalled, secrets among them show as Redacted; only indexing gives them.
type Params map[string]string

// shown is a copy without secrets.
func (p Params) shown() map[string]string {
	out := make(map[string]string, len(p))
	for name, value := range p {
		if Secret(name) && value != "" {
			value = Redacted
		}
		out[name] = value
	}
	return out
}

// String returns name=value of each, sorted.
func (p Params) String() string {
	shown := p.shown()
	var list []string
	for _, name := range sorted(shown) {
		list = append(list, name+"="+shown[name])
	}
	return "{" + strings.Join(list, " ") + "}"
}

// GoString is String, so that %#v shows no secret either.
func (p Params) GoString() string { return p.String() }

// MarshalJSON writes an object. It cannot be read back to the same value.
func (p Params) MarshalJSON() ([]byte, error) { return json.Marshal(p.shown()) }

// LogValue implements slog.LogValuer.
func (p Params) LogValue() slog.Value { return slog.StringValue(p.String()) }
