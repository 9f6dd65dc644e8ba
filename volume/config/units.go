package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// size is a number of bytes, written as a number or with a unit of 1024: "10G", "500M", "64KiB".
type size int64

// UnmarshalTOML reads it.
func (s *size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 {
			break
		}
		*s = size(v)
		return nil
	case string:
		n, err := ParseSize(v)
		*s = size(n)
		return err
	}
	return fmt.Errorf("%v: want a number of bytes, as in \"10G\"", v)
}

// MarshalText writes it with the largest unit that loses nothing.
func (s size) MarshalText() ([]byte, error) { return []byte(FormatSize(int64(s))), nil }

const units = "KMGTP"

// ParseSize reads a number of bytes: digits and, after them, K, M, G, T or P (powers of 1024), with or without
// "B" or "iB".
func ParseSize(s string) (int64, error) {
	digits := strings.TrimSpace(s)
	digits = strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(digits), "B"), "I")
	scale := 0
	if n := len(digits); n > 0 {
		if i := strings.IndexByte(units, digits[n-1]); i >= 0 {
			scale, digits = 10*(i+1), digits[:n-1]
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>scale {
		return 0, fmt.Errorf("%q: want a size, as in 10G, 512M or a number of bytes", s)
	}
	return n << scale, nil
}

// FormatSize is the inverse of ParseSize.
func FormatSize(n int64) string {
	unit := ""
	for i := 0; i < len(units) && n != 0 && n%1024 == 0; i++ {
		n, unit = n/1024, units[i:i+1]
	}
	return strconv.FormatInt(n, 10) + unit
}

// duration is a time with a unit: "500ms", "10s".
type duration time.Duration

func (d duration) value() time.Duration { return time.Duration(d) }

// UnmarshalText reads it.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q: want a time with its unit, as in 500ms or 10s", b)
	}
	*d = duration(v)
	return nil
}

// MarshalText writes it.
func (d duration) MarshalText() ([]byte, error) { return []byte(shortDuration(time.Duration(d))), nil }
