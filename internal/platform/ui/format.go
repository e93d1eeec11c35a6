package ui

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Num groups the digits of a whole number: 12,480. It takes any integer type.
func Num(n any) (string, error) {
	v := reflect.ValueOf(n)
	var s string
	switch {
	case v.CanInt():
		s = strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		s = strconv.FormatUint(v.Uint(), 10)
	case v.CanFloat():
		s = strconv.FormatFloat(math.Round(v.Float()), 'f', -1, 64)
	default:
		return "", fmt.Errorf("num: expected a number, got %T", n)
	}
	digits := strings.TrimPrefix(s, "-")
	sign := s[:len(s)-len(digits)]
	s = digits
	if len(s) <= 3 {
		return sign + s, nil
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return sign + b.String(), nil
}

// Compact is a number for a badge or an axis: 999, 1.2k, 48k, 3.1M, 12B.
func Compact(n any) (string, error) {
	v := reflect.ValueOf(n)
	var f float64
	switch {
	case v.CanInt():
		f = float64(v.Int())
	case v.CanUint():
		f = float64(v.Uint())
	case v.CanFloat():
		f = v.Float()
	default:
		return "", fmt.Errorf("compact: expected a number, got %T", n)
	}
	for _, step := range []struct {
		at   float64
		unit string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(f) >= step.at {
			return short(f/step.at) + step.unit, nil
		}
	}
	return short(f), nil
}

// short is one decimal below ten and none above, cut and not rounded up, so
// that 999,999 is not "1000k".
func short(f float64) string {
	if math.Abs(f) < 10 {
		return strconv.FormatFloat(math.Trunc(f*10)/10, 'f', -1, 64)
	}
	return strconv.FormatFloat(math.Trunc(f), 'f', -1, 64)
}

// Pct formats a ratio (0..1) in percent, with as many decimals as it needs to differ from 100: 91%, 99.95%, 99.9993%.
func Pct(ratio float64) string {
	p := ratio * 100
	for d := 0; d <= 4; d++ {
		s := strconv.FormatFloat(p, 'f', d, 64)
		back, err := strconv.ParseFloat(s, 64)
		if err == nil && math.Abs(back-p) <= 0.005*math.Min(math.Abs(p), math.Abs(100-p))+1e-9 {
			return s + "%"
		}
	}
	return strconv.FormatFloat(p, 'f', 4, 64) + "%"
}

// Bytes is a size in binary units: 512 B, 1.5 KiB, 8 MiB.
func Bytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), -1
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	return short(f) + " " + [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit]
}

// Plural is "1 event", "12,480 events".
func Plural(n any, one, many string) (string, error) {
	s, err := Num(n)
	if err != nil {
		return "", err
	}
	if s == "1" {
		return "1 " + one, nil
	}
	return s + " " + many, nil
}

// Words is a duration with its two largest units: 43 s, 4 min 56 s, 11 days.
func Words(d time.Duration) string {
	if d < 0 {
		return "-" + Words(-d)
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Truncate(100*time.Millisecond).Seconds()), ".0") + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func two(a int, unit string, b int, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unit)
	}
	return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
}

// Ago is how long t is before or after now, in one unit: "now", "43 s ago",
// "3 min ago", "in 11 days".
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	ahead := d < 0
	if ahead {
		d = -d
	}
	var s string
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		s = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		s = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		s = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		s = fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	if ahead {
		return "in " + s
	}
	return s + " ago"
}
