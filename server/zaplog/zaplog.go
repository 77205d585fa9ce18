// Package zaplog brings what libraries log with zap to log/slog: etcd, the SQL parser and PD's client.
package zaplog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/pingcap/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// New makes a zap logger that writes to l, one level down: what a library calls information is of interest only to who
// looks for a fault in it.
func New(l *slog.Logger) *zap.Logger { return zap.New(bridge{handler: l.Handler()}) }

// NewMutable is New with a switch: after mute the logger says no more. It is for libraries that call their own orderly
// end a failure.
func NewMutable(l *slog.Logger) (logger *zap.Logger, mute func()) {
	muted := new(atomic.Bool)
	return zap.New(bridge{l.Handler(), muted}), func() { muted.Store(true) }
}

// ReplaceGlobals sends the process-wide zap loggers to l. Call it once, early in main.
func ReplaceGlobals(l *slog.Logger) {
	logger := New(l)
	zap.ReplaceGlobals(logger)
	log.ReplaceGlobals(logger, &log.ZapProperties{Core: logger.Core(), Level: zap.NewAtomicLevelAt(zap.DebugLevel)})
}

// bridge is a zap core over a slog handler.
type bridge struct {
	handler slog.Handler
	muted   *atomic.Bool // nil: never
}

var _ zapcore.Core = bridge{}

func level(l zapcore.Level) slog.Level {
	switch {
	case l <= zapcore.InfoLevel:
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	default:
		return slog.LevelError
	}
}

func (b bridge) Enabled(l zapcore.Level) bool {
	return (b.muted == nil || !b.muted.Load()) && b.handler.Enabled(context.Background(), level(l))
}

func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.handler.WithAttrs(attrs(fields)), b.muted}
}

func (b bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, level(e.Level), e.Message, 0)
	r.AddAttrs(attrs(fields)...)
	return b.handler.Handle(context.Background(), r)
}

func (b bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]slog.Attr, 0, len(enc.Fields))
	for _, k := range slices.Sorted(maps.Keys(enc.Fields)) {
		out = append(out, slog.Any(k, enc.Fields[k]))
	}
	return out
}
