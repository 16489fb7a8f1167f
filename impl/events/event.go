// Package events keeps what happened to containers, images, volumes and
// networks, in order, and lets any number of readers follow it.
//
// The Log is one sequence with strictly increasing time stamps, so that the
// stamp of the last event seen is an exact resume point: a reader that comes
// back with it as `since` misses nothing and sees nothing twice. Readers hold a
// place in the sequence instead of a queue of their own; a slow reader costs
// nothing and can never delay the engine.
package events

import "time"

// Event is one thing that happened.
type Event struct {
	// Time is unique and strictly increasing in one Log (nanoseconds).
	Time time.Time `json:"time"`
	// Type is the kind of the object: container, image, volume, network or daemon.
	Type string `json:"type"`
	// Action is the verb of the Remote API ("create", "die", "exec_start: sh", …).
	Action string `json:"action"`
	// ID names the object: the container's id, the image's reference, the
	// volume's or the network's name or id, as the API documents it.
	ID string `json:"id"`
	// Attributes are further facts (image, name, exitCode, signal, labels, …).
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Types of the objects that events speak of.
const (
	Container = "container"
	Image     = "image"
	Volume    = "volume"
	Network   = "network"
)
