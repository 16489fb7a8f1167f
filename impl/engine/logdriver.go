package engine

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/forward"
)

// CheckLogDriver validates a log driver and its options. The texts are those of
// Docker Engine, which clients show.
func CheckLogDriver(driver string, options map[string]string) error {
	var err error
	switch driver {
	case "none":
		return nil
	case "json-file":
		_, _, err = logLimits(options)
	case forward.Journald, forward.Syslog:
		err = forward.Check(driver, options)
	default:
		return fault.Invalid("logger: no log driver named '%s' is registered: use json-file, journald, syslog or none", driver)
	}
	if err != nil {
		return err
	}
	_, err = logTag(options, &logInfo{})
	return err
}

// checkLogConfig validates the log driver and its options and fills in the
// daemon's choice.
func (e *Engine) checkLogConfig(h *models.HostConfig) error {
	l := &h.LogConfig
	if l.Type == "" || l.Type == "default" {
		l.Type = e.LogDriver
	}
	if l.Config == nil {
		l.Config = map[string]string{}
	}
	if l.Type == e.LogDriver {
		for name, value := range e.LogOptions {
			if _, given := l.Config[name]; !given {
				l.Config[name] = value
			}
		}
	}
	return CheckLogDriver(l.Type, l.Config)
}

// The bounds of a log without options, so that no container can fill the disk
// with what it prints.
const (
	defaultLogSize  = 100 << 20
	defaultLogFiles = 5
)

// logLimits reads the options of the driver json-file.
func logLimits(options map[string]string) (size int64, files int, err error) {
	size, files = defaultLogSize, defaultLogFiles
	for key, value := range options {
		switch key {
		case "max-size":
			if size = -1; value != "-1" {
				if size, err = units.RAMInBytes(value); err != nil || size <= 0 {
					return 0, 0, fault.Invalid("invalid value %q for log option max-size: use a size such as 10m, or -1 for none", value)
				}
			}
			if _, ok := options["max-file"]; !ok {
				files = 1
			}
		case "max-file":
			if files, err = strconv.Atoi(value); err != nil {
				return 0, 0, fault.Invalid("invalid value %q for log option max-file: use a number from 1 on", value)
			}
			if files < 1 {
				return 0, 0, fault.Invalid("max-file cannot be less than 1")
			}
		case "labels", "env", "tag":
		default:
			return 0, 0, fault.Invalid("unknown log opt '%s' for json-file log driver", key)
		}
	}
	return size, files, nil
}

func newLogInfo(r *container.Record) *logInfo {
	image := r.Image.Encoded()
	return &logInfo{
		ID: r.ID[:12], FullID: r.ID, Name: r.Name[1:], ImageID: image[:min(12, len(image))], ImageFullID: string(r.Image),
		ImageName: r.ImageName, DaemonName: "docker", Command: strings.Join(append([]string{r.Path}, r.Args...), " "),
	}
}

// logFields are the labels and variables that the options labels and env name.
func logFields(r *container.Record) map[string]string {
	o := r.HostConfig.LogConfig.Config
	fields := map[string]string{}
	for name := range strings.SplitSeq(o["labels"], ",") {
		if value, ok := r.Config.Labels[name]; ok && name != "" {
			fields[name] = value
		}
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(o["env"], ",") {
		wanted[name] = true
	}
	for _, kv := range r.Config.Env {
		if name, value, ok := strings.Cut(kv, "="); ok && wanted[name] {
			fields[name] = value
		}
	}
	return fields
}

// logSpec says where and how the container's output is recorded.
func (e *Engine) logSpec(r *container.Record) (runtime.Log, error) {
	o := r.HostConfig.LogConfig.Config
	spec := runtime.Log{Path: e.logPath(r)}
	switch driver := r.HostConfig.LogConfig.Type; driver {
	case "json-file":
		spec.MaxSize, spec.MaxFile, _ = logLimits(o)
		if fields := logFields(r); len(fields) > 0 {
			text, err := json.Marshal(fields)
			if err != nil {
				return runtime.Log{}, fault.Internal("record labels in the log: %w", err)
			}
			if len(text) > logAttrsMax {
				return runtime.Log{}, fault.Internal("Failed to initialize logging driver: the labels and variables of the log options labels and env are longer than 100 KB")
			}
			spec.Attrs = string(text)
		}
	case forward.Journald, forward.Syslog:
		tag, err := logTag(o, newLogInfo(r))
		if err != nil {
			return runtime.Log{}, err
		}
		spec.Forward = &forward.Order{
			Driver: driver, Options: o, Tag: tag, ID: r.ID, Name: r.Name[1:], Fields: logFields(r), Lock: e.logLock(r.ID),
		}
	}
	return spec, nil
}

// logAttrsMax fits into one argument of a program (128 KiB, execve(2)).
const logAttrsMax = 100_000

// logLock is locked as long as a logger has something of the container to hand
// over.
func (e *Engine) logLock(id string) string { return filepath.Join(e.dir(id), "logger.lock") }
