package fence

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

// Secret says whether a parameter of this name holds a secret. The API does
// not mark them, so the name decides; what names a file or a program that holds
// a secret is none.
func Secret(name string) bool {
	name = strings.ToLower(name)
	for _, tail := range [...]string{"_script", "_file", "_path"} {
		if strings.HasSuffix(name, tail) {
			return false
		}
	}
	for _, part := range [...]string{"passw", "secret", "token", "community", "apikey", "api_key", "api-key", "access_key", "tlskey", "private_key", "hexadecimal_kg", "credential", "passphrase"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return name == "pass" || name == "pwd" || name == "pin"
}

// Redacted stands where a secret stood.
const Redacted = "******"

// redactor takes secrets out of texts.
type redactor struct {
	replace *strings.Replacer // nil if there are no secrets
	longest int               // bytes of the longest spelling
}

// newRedactor knows the secrets among the parameters, in the spellings in which
// chatty agents show them: as they are, quoted for URLs, JSON and XML, and in
// the header of HTTP's basic authentication.
func newRedactor(params map[string]string) redactor {
	var spellings []string
	for name, value := range params {
		if value == "" || !Secret(name) {
			continue
		}
		quoted, _ := json.Marshal(value) //nolint:errcheck // a string can be marshalled
		spellings = append(spellings, value, url.QueryEscape(value), url.PathEscape(value), html.EscapeString(value),
			strings.Trim(string(quoted), `"`), strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value),
			base64.StdEncoding.EncodeToString([]byte(value)))
		for _, login := range [...]string{"login", "username"} {
			if user := params[login]; user != "" {
				spellings = append(spellings, base64.StdEncoding.EncodeToString([]byte(user+":"+value)))
			}
		}
	}
	slices.SortFunc(spellings, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	spellings = slices.Compact(spellings)
	if len(spellings) == 0 {
		return redactor{}
	}
	var pairs []string
	for _, s := range spellings { // the longest first: it may hold another
		pairs = append(pairs, s, Redacted)
	}
	return redactor{strings.NewReplacer(pairs...), len(spellings[0])}
}

func (r redactor) clean(s string) string {
	if r.replace == nil {
		return s
	}
	return r.replace.Replace(s)
}

// tail cleans the last bytes of a stream, of which limit + longest were kept.
// If that is full, its beginning may hold the end of a secret: it goes.
func (r redactor) tail(s string, limit int) string {
	whole := r.clean(s)
	if r.longest == 0 || len(s) < limit+r.longest {
		return whole
	}
	return whole[min(len(whole), r.longest):]
}

// answer cleans every text of an answer.
func (r redactor) answer(a Answer) Answer {
	a.Reason, a.Output, a.Stdout = r.clean(a.Reason), r.clean(a.Output), r.clean(a.Stdout)
	return a
}
