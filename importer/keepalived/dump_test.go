package keepalived

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// dump prints what is set in a value, field by field, with an indent for each level. Places are left out.
func dump(b *strings.Builder, name string, v reflect.Value, depth int) {
	if v.IsZero() || v.Type() == reflect.TypeFor[director.Pos]() || v.Kind() == reflect.Slice && v.Len() == 0 {
		return
	}
	in := strings.Repeat("  ", depth)
	switch x := v.Interface().(type) {
	case director.Command:
		fmt.Fprintf(b, "%s%s %q", in, name, x.Args)
		if x.User != "" {
			fmt.Fprintf(b, " as %s", x.User)
		}
		b.WriteByte('\n')
		return
	case time.Duration, netip.Addr, netip.AddrPort, netip.Prefix, director.Protocol:
		fmt.Fprintf(b, "%s%s %v\n", in, name, x)
		return
	case director.Secret:
		fmt.Fprintf(b, "%s%s of %d letters\n", in, name, len(x))
		return
	case encoding.TextMarshaler:
	}
	switch v.Kind() {
	case reflect.Struct:
		fmt.Fprintf(b, "%s%s\n", in, name)
		for i := range v.NumField() {
			dump(b, v.Type().Field(i).Name, v.Field(i), depth+1)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct && v.Type().Elem() != reflect.TypeFor[director.Command]() {
			for i := range v.Len() {
				dump(b, name, v.Index(i), depth)
			}
			return
		} else if k == reflect.String {
			fmt.Fprintf(b, "%s%s %q\n", in, name, v.Interface())
			return
		}
		fmt.Fprintf(b, "%s%s %v\n", in, name, v.Interface())
	case reflect.Pointer:
		dump(b, name, v.Elem(), depth)
	case reflect.String:
		fmt.Fprintf(b, "%s%s %q\n", in, name, v.String())
	case reflect.Bool:
		fmt.Fprintf(b, "%s%s\n", in, name)
	default:
		fmt.Fprintf(b, "%s%s %v\n", in, name, v.Interface())
	}
}

// describe prints a configuration without what every one has.
func describe(c *director.Config) string {
	var b strings.Builder
	var base director.Global
	globalDefaults(&base)
	g := reflect.ValueOf(&c.Global).Elem()
	for i := range g.NumField() {
		if f := g.Field(i); !reflect.DeepEqual(f.Interface(), reflect.ValueOf(base).Field(i).Interface()) {
			dump(&b, "Global."+g.Type().Field(i).Name, f, 0)
		}
	}
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Global" {
			dump(&b, strings.TrimSuffix(name, "s"), v.Field(i), 0)
		}
	}
	return b.String()
}
