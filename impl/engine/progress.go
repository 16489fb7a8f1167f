package engine

import (
	"fmt"
	"strings"

	"github.com/docker/go-units"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/stream"
)

// barWidth is the number of characters between the brackets of a progress bar.
const barWidth = 50

// progressMessage is a step of a long operation as a line of a progress stream.
func progressMessage(p image.Progress) *models.JSONMessage {
	return &models.JSONMessage{
		Status:         p.Status,
		ProgressDetail: &models.ProgressDetail{Current: p.Current, Total: p.Total},
		Progress:       progressText(p.Current, p.Total),
		ID:             p.ID,
	}
}

// progressText draws how much of a work is done, for clients that print it as it
// is (v1.23 reference, "Load a tarball", example): a bar and both figures, or
// one figure while the total is not known.
func progressText(current, total int64) string {
	if current <= 0 && total <= 0 {
		return ""
	}
	done := fmt.Sprintf("%8v", units.HumanSize(float64(current)))
	if total <= 0 || current > total {
		return done
	}
	filled := int(float64(current) / float64(total) * barWidth)
	return "[" + strings.Repeat("=", filled) + ">" + strings.Repeat(" ", barWidth-filled) + "] " +
		done + "/" + units.HumanSize(float64(total))
}

// progressTo gives a function that writes progress into a stream. A client that
// is gone shows in the operation's context, so errors are not looked at.
func progressTo(out stream.Output) image.ProgressFunc {
	return func(p image.Progress) { _ = out.Encode(progressMessage(p)) }
}

// say writes a line of text that clients print as it is.
func say(out stream.Output, format string, args ...any) error {
	return out.Encode(&models.JSONMessage{Stream: fmt.Sprintf(format, args...)})
}

// status writes a line that says what is being done.
func status(out stream.Output, format string, args ...any) error {
	return out.Encode(&models.JSONMessage{Status: fmt.Sprintf(format, args...)})
}
