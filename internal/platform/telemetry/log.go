// Package telemetry makes the signals of the process: logs (slog), metrics
// (Prometheus), traces (OpenTelemetry) and health.
//
// Nothing here is global. The program makes one logger, one registry, one
// [Tracing] and one [Health], and hands them to the parts that need them. A
// request or message writes ONE wide event at its end ([Event]): everything
// that happened to it is an attribute of that line, not a line of its own.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogConfig sets the level and the format of the log.
type LogConfig struct {
	Level  string // debug, info, warn or error; empty = info
	Format string // text or json; empty = json
}

// NewLogger makes the program's logger, writing to w. Times are UTC.
func NewLogger(w io.Writer, cfg LogConfig) (*slog.Logger, error) {
	level := slog.LevelInfo
	if cfg.Level != "" {
		if err := level.UnmarshalText([]byte(cfg.Level)); err != nil || strings.ContainsAny(cfg.Level, "+-") {
			return nil, fmt.Errorf("log level %q: expected debug, info, warn or error", cfg.Level)
		}
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().UTC())
		}
		return a
	}}
	switch cfg.Format {
	case "", "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log format %q: expected text or json", cfg.Format)
}
