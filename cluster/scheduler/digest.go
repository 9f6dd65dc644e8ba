package scheduler

import (
	"crypto/md5"
	"encoding/hex"
	"sort"
	"strings"
)

// RestartAsked stands in the history for the digest of a start's parameters when
// somebody has asked for a restart: it equals no digest.
const RestartAsked = "restart-was-asked-for"

// ParamsDigest returns the digest of an operation's parameters that is kept
// with its result as op-digest; when the configured parameters later give
// another digest, the resource is restarted. It is the form that Pacemaker
// writes (MD5 of the sorted parameters as one XML element), so that existing
// history stays meaningful. Recurring operations add "CRM_meta_timeout" (ms).
func ParamsDigest(params map[string]string) string {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString(" <parameters")
	for _, name := range names {
		b.WriteString(" " + name + `="`)
		b.WriteString(digestEscaper.Replace(params[name]))
		b.WriteByte('"')
	}
	b.WriteString("/>\n")
	sum := md5.Sum([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// digestEscaper writes values as the field's tools do for digests: white space
// other than blanks is not kept apart from what its escapes look like.
var digestEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;",
	"\t", "    ", "\n", `\n`, "\r", `\r`, "\x7f", `\177`)
