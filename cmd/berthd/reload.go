package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/engine"
)

// reloader brings a changed configuration into a running daemon: the files of
// TLS, the level of the log, and the labels. Everything else needs a new start,
// and the log says so.
type reloader struct {
	present *config.Config
	tls     *listen.TLS // nil without TLS
	engine  *engine.Engine
	level   *slog.LevelVar
	log     *slog.Logger
}

// reload reads the configuration again as the arguments give it. One that is
// not valid changes nothing.
func (r *reloader) reload(arguments []string) {
	next, err := config.Parse(arguments, io.Discard)
	if err != nil {
		r.log.Error("the configuration is not reloaded; the present one stays", "error", err)
		return
	}
	changed, fixed, err := difference(r.present, next)
	if err != nil {
		r.log.Error("the configuration is not reloaded; the present one stays", "error", err)
		return
	}
	if r.tls != nil {
		if err := r.tls.Reload(); err != nil {
			r.log.Error("the TLS files are not reloaded; the present certificates stay", "error", err)
		} else {
			r.log.Info("the TLS files are reloaded")
		}
	}
	r.level.Set(levelOf(next))
	r.engine.Show(shown(next))
	if len(fixed) > 0 {
		r.log.Warn("changed settings that take effect at the next start only", "settings", fixed)
	}
	r.log.Info("the configuration is reloaded", "changed", changed)
	r.present.Debug, r.present.LogLevel, r.present.Labels = next.Debug, next.LogLevel, next.Labels
}

// difference gives the names of the settings in which two configurations
// differ: those that a running daemon takes over and those that it cannot.
func difference(a, b *config.Config) (changed, fixed []string, err error) {
	of := func(c *config.Config) (fields map[string]json.RawMessage, err error) {
		text, err := json.Marshal(c)
		if err == nil {
			err = json.Unmarshal(text, &fields)
		}
		return fields, err
	}
	before, err := of(a)
	if err != nil {
		return nil, nil, err
	}
	after, err := of(b)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if string(before[name]) == string(after[name]) {
			continue
		}
		switch name {
		case "debug", "log-level", "labels":
			changed = append(changed, name)
		default:
			fixed = append(fixed, name)
		}
	}
	return changed, fixed, nil
}
